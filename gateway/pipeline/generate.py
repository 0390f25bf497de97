"""One generation for a checked answer: what is asked, and what the engine said."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

import msgspec

from gateway.errors import UpstreamError
from gateway.member import Lease
from gateway.pipeline.call import Call, ResponseFormat, Spoken, upstream_body
from gateway.pipeline.trace import Trace
from structured.aliases import Aliases
from structured.parse import MAX_BYTES


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of an answer."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One choice of a streamed chunk."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens, as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """What is read of a streamed chunk; the rest is not looked at."""

    model: str
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None


_CHUNKS: Final = msgspec.json.Decoder(Chunk)


def decode_chunk(data: bytes, expected: str) -> Chunk:
    """Read one event of the engine's stream.

    Raises:
        UpstreamError: it is no chunk, or another model than the one asked for
            answers (an adapter's name that the engine resolved to something else).
    """
    try:
        chunk = _CHUNKS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpstreamError(f"the engine sent no chunk: {error}") from error
    if chunk.model != expected:
        raise UpstreamError(
            f"asked {expected}, but {chunk.model!r} answered; nothing was passed on"
        )
    return chunk


class Question(msgspec.Struct, frozen=True):
    """What one generation is asked: the chat, and the grammar if there is one."""

    messages: Spoken
    response_format: ResponseFormat | None = None
    aliases: Aliases | None = None
    """What the chat calls its context items, if not by their own ids."""


class Output(msgspec.Struct, frozen=True):
    """A whole output of the engine, unchecked; citations by the request's own ids."""

    content: bytes
    finish_reason: str


class Piece(NamedTuple):
    """A part of an output; the last ones have a reason to finish, and no text."""

    text: str
    finish_reason: str


async def pieces(
    lease: Lease, call: Call, trace: Trace, question: Question
) -> AsyncGenerator[Piece]:
    """Generate once, and yield what comes as it comes.

    Leaving early closes the connection, which makes the engine abort. An output that
    outgrows what is ever looked at ends there and then, without a reason to finish.

    Raises:
        GatewayError: whatever the engine raises.
    """
    body = upstream_body(
        call,
        lease.model,
        stream=True,
        messages=question.messages,
        response_format=question.response_format,
    )
    size = 0
    asked = time.perf_counter()
    try:
        async with lease.member.replica.stream(body) as events:
            async for data in events:
                chunk = decode_chunk(data, lease.model)
                if chunk.usage is not None:
                    usage = chunk.usage
                    trace.used(usage.prompt_tokens, usage.completion_tokens)
                for choice in chunk.choices:
                    text = choice.delta.content or ""
                    if text:
                        trace.first_token()
                        size += len(text)
                    yield Piece(text, choice.finish_reason or "")
                if size > MAX_BYTES:
                    break
    finally:
        trace.upstream += time.perf_counter() - asked


async def generate(
    lease: Lease, call: Call, trace: Trace, question: Question
) -> Output:
    """Generate once, streamed so that the first token can be timed and timed out.

    Raises:
        GatewayError: whatever the engine raises.
    """
    async with aclosing(pieces(lease, call, trace, question)) as coming:
        return gathered([piece async for piece in coming], question)


def gathered(parts: Sequence[Piece], question: Question) -> Output:
    """Return the whole output; citations by the request's own ids."""
    content = "".join(piece.text for piece in parts).encode("utf-8", "surrogatepass")
    if question.aliases is not None and len(content) <= MAX_BYTES:
        content = question.aliases.restore(content)
    reasons = [piece.finish_reason for piece in parts if piece.finish_reason]
    return Output(content, reasons[-1] if reasons else "")
