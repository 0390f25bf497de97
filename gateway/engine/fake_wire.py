"""The bytes of vLLM 0.32's answers, as its source writes them."""

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.engine.fake_answers import Asked, logprob, tokens
from gateway.engine.fake_quirks import Quirks

MAX_N: Final = 16_384
MAX_MODEL_LEN: Final = 2_048
DONE: Final = b"data: [DONE]\n\n"


class Refusal(Exception):  # noqa: N818 -- it is an answer, not a fault of the fake
    """A request that vLLM answers with an error body."""

    def __init__(self, status: int, kind: str, message: str, param: str = "") -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": kind, "param": param or None}
        self.body = msgspec.json.encode({"error": {**error, "code": status}})


def bad_request(message: str, param: str = "") -> Refusal:
    """Make vLLM's 400."""
    return Refusal(400, "BadRequestError", message, param)


class ChatMessage(msgspec.Struct, frozen=True):
    """One message; content may be a list of parts, of which the text counts."""

    role: str
    content: str | list[dict[str, object]] | None = None

    @property
    def text(self) -> str:
        """The content as one string."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(str(part.get("text", "")) for part in self.content or ())


class ObjectSchema(msgspec.Struct, frozen=True):
    """A schema, as far as the fake can tell that nothing fits it."""

    properties: dict[str, object] = {}
    required: tuple[str, ...] = ()


class JsonSchema(msgspec.Struct, frozen=True):
    """OpenAI's `response_format.json_schema`."""

    schema: ObjectSchema | bool = True


class ResponseFormat(msgspec.Struct, frozen=True):
    """OpenAI's `response_format`."""

    type: str = "text"
    json_schema: JsonSchema | None = None

    @property
    def refusal(self) -> Refusal | None:
        """The 400 for a grammar without texts; of these the fake knows one kind."""
        schema = self.json_schema and self.json_schema.schema
        if not isinstance(schema, ObjectSchema):
            return None
        for key in schema.required:
            if schema.properties.get(key) is False:
                return bad_request(
                    "Grammar error: Unsatisfiable schema: required property"
                    f" '{key}' is unsatisfiable"
                )
        return None


class StreamOptions(msgspec.Struct, frozen=True):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class ChatBody(msgspec.Struct, frozen=True):
    """What the fake reads of a chat completion; vLLM ignores unknown fields too."""

    messages: tuple[ChatMessage, ...]
    model: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = 0
    response_format: ResponseFormat = ResponseFormat()
    ignore_eos: bool = False

    @property
    def wanted(self) -> int | None:
        """Tokens that were asked for at most."""
        newer = self.max_completion_tokens
        return self.max_tokens if newer is None else newer

    @property
    def budget(self) -> int:
        """Tokens that may be generated: what was asked for, within the room left."""
        room = MAX_MODEL_LEN - self.prompt_tokens
        return room if self.wanted is None else min(room, self.wanted)

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return 1 if self.n is None else self.n

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all messages, with four for each one's frame."""
        return sum(4 + len(tokens(message.text)) for message in self.messages)


def parse_chat(raw: bytes) -> ChatBody:
    """Read and check a chat completion's body as vLLM does."""
    try:
        body = msgspec.json.decode(raw, type=ChatBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, "Bad Request", f"1 validation error:\n  {error}") from error
    if body.choices < 1:
        raise bad_request(f"n must be at least 1, got {body.choices}.")
    if body.choices > MAX_N:
        raise bad_request(
            f"n must be at most {MAX_N}, got {body.choices}. To increase this limit,"
            " set the VLLM_MAX_N_SEQUENCES environment variable."
        )
    if body.choices > 1 and body.temperature == 0:
        raise bad_request(
            f"n must be 1 when using greedy sampling, got {body.choices}."
        )
    _check_lengths(body)
    return body


def _check_lengths(body: ChatBody) -> None:
    wanted, given = body.wanted, body.prompt_tokens
    if wanted is not None and wanted < 1:
        raise bad_request(f"max_tokens must be at least 1, got {wanted}.", "max_tokens")
    if wanted is not None and wanted > MAX_MODEL_LEN:
        raise bad_request(
            f"max_tokens={wanted} cannot be greater than"
            f" max_model_len={MAX_MODEL_LEN}. Please request fewer output tokens.",
            "max_tokens",
        )
    if given > MAX_MODEL_LEN:
        raise bad_request(
            f"This model's maximum context length is {MAX_MODEL_LEN} tokens. However,"
            f" your prompt contains {given} input tokens, which exceeds this limit"
            " even without any output tokens. Please reduce the length of the input"
            " prompt.",
            "input_tokens",
        )


class Reply(msgspec.Struct, frozen=True):
    """One answer in the making: the tokens, and how they are written."""

    id: str
    created: int
    model: str
    adapter: str | None
    pieces: tuple[str, ...]
    finish_reason: str
    body: ChatBody

    @classmethod
    def make(
        cls, number: int, created: int, body: ChatBody, asked: Asked, quirks: Quirks
    ) -> "Reply":
        """Let the answer function speak, and cut its text at the token budget."""
        pieces = tokens(quirks.answer(asked))
        if body.ignore_eos and pieces:
            pieces *= body.budget // len(pieces) + 1
        kept = pieces[: body.budget]
        natural = "length" if len(kept) < len(pieces) else "stop"
        return cls(
            id=f"chatcmpl-{number:08x}",
            created=created,
            model=quirks.echoed_model or asked.model,
            adapter=asked.adapter,
            pieces=tuple(kept),
            finish_reason=quirks.finish_reason or natural,
            body=body,
        )

    def whole(self) -> bytes:
        """The answer that does not stream."""
        choice = {
            "message": {"role": "assistant", "content": "".join(self.pieces)},
            "logprobs": self._logprobs(self.pieces),
            "finish_reason": self.finish_reason,
            "stop_reason": None,
        }
        count = self.body.choices
        return msgspec.json.encode(
            {
                **self._head("chat.completion"),
                "choices": [{"index": i, **choice} for i in range(count)],
                "usage": self._usage(),
            }
        )

    def events(self) -> Iterator[bytes]:
        """The streamed answer, without its `[DONE]`: role, tokens, usage if wanted."""
        count = range(self.body.choices)
        yield from (self._chunk(i, {"role": "assistant", "content": ""}) for i in count)
        pieces = self.pieces or ("",)
        last = len(pieces) - 1
        for at, piece in enumerate(pieces):
            end = self.finish_reason or None if at == last else None
            yield from (self._chunk(i, {"content": piece}, end) for i in count)
        if self.body.stream_options and self.body.stream_options.include_usage:
            head = self._head("chat.completion.chunk")
            yield _event({**head, "choices": [], "usage": self._usage()})

    def _chunk(
        self, index: int, delta: dict[str, str], end: str | None = None
    ) -> bytes:
        told = [delta["content"]] if delta["content"] else []
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": self._logprobs(told) if told else None,
            "finish_reason": end,
        }
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> dict[str, object]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
        }

    def _usage(self) -> dict[str, int]:
        given, made = self.body.prompt_tokens, len(self.pieces) * self.body.choices
        return {
            "prompt_tokens": given,
            "total_tokens": given + made,
            "completion_tokens": made,
        }

    def _logprobs(self, pieces: "tuple[str, ...] | list[str]") -> object:
        if not self.body.logprobs:
            return None
        entries: list[dict[str, object]] = []
        for piece in pieces:
            entry: dict[str, object] = {
                "token": piece,
                "logprob": logprob(self.adapter, piece),
                "bytes": list(piece.encode()),
            }
            top = [entry] if self.body.top_logprobs else []
            entries.append({**entry, "top_logprobs": top})
        return {"content": entries}


def error_event(refusal: Refusal) -> bytes:
    """Write an error into a stream as vLLM does, with status 200 long sent."""
    return b"data: " + refusal.body + b"\n\n"


def _event(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
