"""Answers as they are written: when each piece of a streamed completion arrived.

`/v1/chat/completions` with `"stream": true` and `model: "auto"` asks for no schema, so
the gateway passes the engine's tokens on unbuffered. `/v1/assist` holds an answer back
until it has been checked: there is no token to wait for.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus
from typing import Final

import httpx
import msgspec

from evals.answers import Subject
from evals.errors import TargetError, WrongGeneratorError
from structured.prompt import AssistInput, render

SURFACE: Final = "auto"
"""The surface of requests that name none; what an override has to be switched for."""

PATH: Final = "/v1/chat/completions"

TIMEOUT: Final = httpx.Timeout(310.0, connect=10.0)
"""Seconds between two reads. The gateway itself gives up after 300."""

_DATA: Final = "data:"
_DONE: Final = "[DONE]"


class Streamed(msgspec.Struct, frozen=True):
    """One completion as it came; times in seconds of `time.perf_counter`."""

    arrived: tuple[float, ...]
    """When each event with text in it arrived. An event without any (a role, a finish
    reason) is no token: neither guidellm nor aiperf takes it for the first one."""
    ended: float
    """When the stream's end was seen."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """As the engine counts them; the end-of-sequence token is one."""


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Fault(msgspec.Struct):
    code: str = "no_code"
    message: str = ""


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = _Delta()


class _Chunk(msgspec.Struct):
    choices: tuple[_Choice, ...] = ()
    usage: _Usage | None = None
    error: _Fault | None = None


_CHUNKS: Final = msgspec.json.Decoder(_Chunk)


class Streamer:
    """The data plane of one gateway, streaming."""

    def __init__(self, client: httpx.AsyncClient, max_tokens: int) -> None:
        self._client = client
        self._max_tokens = max_tokens

    async def ask(self, given: AssistInput, subject: Subject, unit: str) -> Streamed:
        """Ask for one completion of the text that `/v1/assist` would send.

        Args:
            given: rendered by `structured.prompt.render`.
            subject: who has to answer.
            unit: the conversation's id; it should be new each time.

        Raises:
            WrongGeneratorError: another than `subject` answers.
            TargetError: no whole answer came; `code` is the gateway's, or
                `unreachable`, `cut_off`, `not_understood`.
        """
        body = {
            "model": SURFACE,
            "messages": render(given),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": self._max_tokens,
            "temperature": 0.0,
        }
        try:
            async with self._client.stream(
                "POST",
                PATH,
                content=msgspec.json.encode(body),
                headers={"x-conversation-id": unit},
            ) as response:
                if response.status_code != HTTPStatus.OK:
                    raise _refused(response, await response.aread())
                _check_subject(response, subject)
                return await _read(response.aiter_lines())
        except httpx.HTTPError as error:
            raise TargetError(
                "unreachable", f"POST {PATH}: {error or type(error).__name__}"
            ) from error


@contextlib.asynccontextmanager
async def connect(url: str, key: str, max_tokens: int) -> AsyncGenerator[Streamer]:
    """Open the data plane, with as many connections as requests are in flight.

    Args:
        url: of the data plane.
        key: a tenant's.
        max_tokens: of each completion.
    """
    # A bound here would hold requests back unseen: the load has its own, and says so.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=TIMEOUT, limits=limits, trust_env=False
    ) as client:
        yield Streamer(client, max_tokens)


async def _read(lines: AsyncIterator[str]) -> Streamed:
    arrived: list[float] = []
    usage = _Usage()
    async for line in lines:
        if not line.startswith(_DATA):
            continue
        now = time.perf_counter()
        data = line[len(_DATA) :].strip()
        if data == _DONE:
            return Streamed(
                tuple(arrived), now, usage.prompt_tokens, usage.completion_tokens
            )
        chunk = _decoded(data)
        if chunk.error is not None:
            raise TargetError(chunk.error.code, chunk.error.message)
        usage = chunk.usage or usage
        if any(choice.delta.content for choice in chunk.choices):
            arrived.append(now)
    raise TargetError("cut_off", f"{PATH}: the stream ended without {_DONE}")


def _decoded(data: str) -> _Chunk:
    try:
        return _CHUNKS.decode(data)
    except msgspec.MsgspecError as error:
        raise TargetError("not_understood", f"{PATH}: {error}") from error


def _refused(response: httpx.Response, content: bytes) -> TargetError:
    try:
        fault = _CHUNKS.decode(content).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        fault = None
    if fault is None:
        return TargetError(f"http_{response.status_code}", response.reason_phrase)
    return TargetError(fault.code, fault.message)


def _check_subject(response: httpx.Response, subject: Subject) -> None:
    generator = response.headers.get("x-wastegate-generator", "nobody")
    model = response.headers.get("x-wastegate-model", "nothing")
    if (generator, model) != (subject.generator, subject.model):
        wanted = f"{subject.generator} ({subject.model})"
        raise WrongGeneratorError(wanted, f"{generator} ({model})")
