"""One generation for a checked answer: what is asked, and what the engine said."""

import time
from typing import Final

import msgspec

from gateway.errors import UpstreamError
from gateway.fleet import Lease
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


async def generate(
    lease: Lease, call: Call, trace: Trace, question: Question
) -> Output:
    """Generate once, streamed so that the first token can be timed and timed out.

    An output that outgrows what is ever looked at ends the exchange there and then;
    it is returned as far as it came, which is over `MAX_BYTES`.

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
    pieces: list[str] = []
    size, finish_reason = 0, ""
    asked = time.perf_counter()
    try:
        async with lease.member.replica.stream(body) as events:
            async for data in events:
                chunk = decode_chunk(data, lease.model)
                if chunk.usage is not None:
                    usage = chunk.usage
                    trace.used(usage.prompt_tokens, usage.completion_tokens)
                for choice in chunk.choices:
                    if choice.delta.content:
                        trace.first_token()
                        pieces.append(choice.delta.content)
                        size += len(choice.delta.content)
                    finish_reason = choice.finish_reason or finish_reason
                if size > MAX_BYTES:
                    break
    finally:
        trace.upstream += time.perf_counter() - asked
    content = "".join(pieces).encode("utf-8", "surrogatepass")
    if question.aliases is not None and size <= MAX_BYTES:
        content = question.aliases.restore(content)
    return Output(content, finish_reason)
