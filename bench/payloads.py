"""What goes over the wire: questions of 560 bytes, answers of 500."""

from collections.abc import Callable
from typing import Final

import msgspec

REQUEST_BYTES: Final = 560
REPLY_BYTES: Final = 500

ANSWER: Final = (
    '{"status":"ok","answer":"The pump is rated for 4 bar and must be drained before'
    ' it is opened.","citations":["kb-1"]}'
)
"""What the mock's stream says: a valid answer, so that no repair is measured."""

CHUNKS: Final = 10

_WORDS: Final = "The pump is rated for 4 bar. Drain it before you open it. "


def chat(*, stream: bool = False) -> bytes:
    """A chat completion request; `auto` asks for no schema."""

    def body(text: str) -> bytes:
        messages = [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": text},
        ]
        request = {"model": "auto", "messages": messages, "max_tokens": 64}
        streamed = {"stream": True} if stream else {}
        return msgspec.json.encode({**request, "temperature": 0, **streamed})

    return _padded(body, REQUEST_BYTES)


def assist() -> bytes:
    """An assist request; its one passage has the id that the mock cites."""

    def body(text: str) -> bytes:
        context = [{"id": "kb-1", "text": text}]
        given = {"context": context, "user": "What is the pump rated for?"}
        return msgspec.json.encode(
            {"input": given, "conversation": "bench", "max_tokens": 64}
        )

    return _padded(body, REQUEST_BYTES)


def reply() -> bytes:
    """The whole HTTP response to a chat completion."""

    def body(text: str) -> bytes:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": None,
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 120, "total_tokens": 150, "completion_tokens": 30}
        return msgspec.json.encode(
            {
                "id": "chatcmpl-0123456789abcdef",
                "object": "chat.completion",
                "created": 1,
                "model": "base",
                "choices": [choice],
                "usage": usage,
            }
        )

    content = _padded(body, REPLY_BYTES)
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def stream() -> bytes:
    """The response to a streamed one: its writes, separated by NUL bytes."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    step = -(-len(ANSWER) // CHUNKS)
    pieces = [ANSWER[i : i + step] for i in range(0, len(ANSWER), step)]
    events = [_event([_delta({"role": "assistant", "content": ""})])]
    events += [_event([_delta({"content": piece})]) for piece in pieces]
    events.append(_event([{**_delta({"content": ""}), "finish_reason": "stop"}]))
    usage = {"prompt_tokens": 120, "total_tokens": 150, "completion_tokens": 30}
    events.append(_event([], usage=usage))
    writes = [head + _chunk(events[0]), *map(_chunk, events[1:])]
    writes.append(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    return b"\0".join(writes)


def _delta(delta: dict[str, str]) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    chunk = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "base",
        "choices": choices,
        **more,
    }
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _padded(body: Callable[[str], bytes], size: int) -> bytes:
    """A body with as much text in it as makes it `size` bytes."""
    room = size - len(body(""))
    return body((_WORDS * (room // len(_WORDS) + 1))[:room])
