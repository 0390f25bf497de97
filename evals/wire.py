"""What a gateway says on its data plane, and how it becomes an answer."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from evals.answers import Answer, Params, Subject, Verdict
from evals.samples import Sample
from structured.prompt import render

LOST: Final[dict[str, Verdict]] = {
    "output_invalid": "invalid",
    "output_truncated": "truncated",
}
"""Errors that are outcomes: the engine answered, and the answer was no good."""


class Usage(msgspec.Struct):
    """Tokens, as the engine counted them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Output(msgspec.Struct):
    """The surface's output."""

    status: str
    answer: str
    citations: tuple[str, ...]


class Delivered(msgspec.Struct):
    """A 200 of `/v1/assist`."""

    id: str
    output: Output
    verdict: Verdict
    repairs: tuple[Any, ...] = ()
    usage: Usage | None = None


class Fault(msgspec.Struct):
    """The error inside an answer that is one."""

    code: str
    message: str = ""
    request_id: str | None = None
    stage: str | None = None
    path: str | None = None
    repairs: tuple[Any, ...] = ()
    usage: Usage | None = None


class Failed(msgspec.Struct):
    """An answer that is an error."""

    error: Fault


class Message(msgspec.Struct):
    """What the model said in a chat."""

    content: str


class Choice(msgspec.Struct):
    """The one choice of a chat."""

    message: Message


class Chat(msgspec.Struct):
    """A 200 of `/v1/chat/completions`."""

    id: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None


def assist_body(sample: Sample, params: Params) -> bytes:
    """Return the question as `/v1/assist` takes it."""
    body = {
        "input": sample.input,
        "surface": params.surface,
        "conversation": f"eval-{sample.id}",
        "stream": False,
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
    }
    return msgspec.json.encode(body)


def chat_body(sample: Sample, params: Params, schema: bytes) -> bytes:
    """Return the same prompt as a chat whose decoding is bound to a schema."""
    body = {
        "model": params.surface,
        "messages": render(sample.input),
        "metadata": {"conversation_id": f"eval-{sample.id}"},
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": msgspec.Raw(schema)},
        },
    }
    return msgspec.json.encode(body)


def from_chat(chat: Chat, verdict: Verdict) -> Delivered:
    """Read the surface's output out of a chat; raises msgspec.DecodeError."""
    output = msgspec.json.decode(chat.choices[0].message.content, type=Output)
    return Delivered(chat.id, output, verdict, usage=chat.usage)


def delivered(
    sample: Sample, subject: Subject, body: Delivered, headers: Mapping[str, str]
) -> Answer:
    """Return the answer that a 200 is."""
    return Answer(
        sample=sample.id,
        verdict=body.verdict,
        status=body.output.status,
        text=body.output.answer,
        citations=body.output.citations,
        repairs=_kinds(body.repairs),
        request_id=headers.get("x-request-id", body.id),
        **_shared(subject, body.usage, headers),
    )


def lost(
    sample: Sample, subject: Subject, fault: Fault, headers: Mapping[str, str]
) -> Answer:
    """Return the answer that an output is which was not delivered."""
    where = " ".join(part for part in (fault.stage, fault.path) if part)
    return Answer(
        sample=sample.id,
        verdict=LOST[fault.code],
        repairs=_kinds(fault.repairs),
        request_id=headers.get("x-request-id", fault.request_id or ""),
        detail=f"{where}: {fault.message}" if where else fault.message,
        **_shared(subject, fault.usage, headers),
    )


def _shared(
    subject: Subject, usage: Usage | None, headers: Mapping[str, str]
) -> dict[str, Any]:
    timing = _timing(headers)
    return {
        "generator": subject.generator,
        "model": subject.model,
        "completion_tokens": usage.completion_tokens if usage else None,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "ttft_ms": timing.get("ttft"),
        "total_ms": timing.get("total"),
        "reason": headers.get("x-wastegate-reason", ""),
    }


def _kinds(repairs: tuple[Any, ...]) -> tuple[str, ...]:
    """Repairs by kind, whether they come as names or as objects with a position."""
    return tuple(
        repair if isinstance(repair, str) else msgspec.json.encode(repair).decode()
        for repair in repairs
    )


def _timing(headers: Mapping[str, str]) -> dict[str, float]:
    """`Server-Timing: ttft;dur=41.2, total;dur=300` as milliseconds by name."""
    found: dict[str, float] = {}
    for part in headers.get("server-timing", "").split(","):
        name, _, duration = part.strip().partition(";dur=")
        with contextlib.suppress(ValueError):
            found[name] = float(duration)
    return found
