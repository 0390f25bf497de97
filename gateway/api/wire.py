"""The data plane's formats: what comes in, decoded once, and what goes out.

Unknown fields of a chat are dropped, as OpenAI's clients expect of a server that is
older than they are. Fields that would change the answer's kind, and that this
gateway does not serve, are refused by name: dropping them would be silently wrong.
"""

from typing import Annotated, Final, Literal, TypeVar

import msgspec

from gateway.errors import BadRequest
from gateway.pipeline.call import (
    ChatMessage,
    JsonSchemaFormat,
    StreamOptions,
)
from gateway.pipeline.trace import Trace
from structured.prompt import AssistInput

Probability = Annotated[float, msgspec.Meta(gt=0, le=1)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
UnitText = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
StopText = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

T = TypeVar("T")

Refused = msgspec.UnsetType | None | msgspec.Raw


class AssistRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/assist`. Ours alone, so an unknown field is a mistake."""

    input: AssistInput
    surface: str | None = None
    conversation: UnitText | None = None
    stream: bool = False
    max_tokens: Positive | None = None
    temperature: Temperature | None = None


class Metadata(msgspec.Struct, frozen=True):
    """OpenAI's `metadata`; one key of it is read."""

    conversation_id: UnitText | None = None


class RequestedFormat(msgspec.Struct, frozen=True):
    """OpenAI's `response_format` as a client sends it."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """`POST /v1/chat/completions`: OpenAI's, the fields that are served."""

    model: str
    messages: Annotated[tuple[ChatMessage, ...], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    n: Positive | None = None
    stop: (
        StopText | Annotated[tuple[StopText, ...], msgspec.Meta(max_length=4)] | None
    ) = None
    seed: int | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    response_format: RequestedFormat | None = None
    metadata: Metadata | None = None
    user: str | None = None
    tools: Refused = msgspec.UNSET
    tool_choice: Refused = msgspec.UNSET
    functions: Refused = msgspec.UNSET
    function_call: Refused = msgspec.UNSET
    modalities: Refused = msgspec.UNSET
    audio: Refused = msgspec.UNSET
    logit_bias: Refused = msgspec.UNSET


class FeedbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/feedback`. OpenAI has none; the names are LangSmith's and Helicone's."""

    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """The `X-Request-Id` of the answer."""
    rating: Literal["up", "down"]
    comment: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)] | None = None
    correction: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """The output as it should have been; it has to fit the same schema."""


NOT_SERVED: Final = (
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "modalities",
    "audio",
    "logit_bias",
)

_ASSIST: Final = msgspec.json.Decoder(AssistRequest)
_CHAT: Final = msgspec.json.Decoder(ChatRequest)
_FEEDBACK: Final = msgspec.json.Decoder(FeedbackRequest)
ENCODER: Final = msgspec.json.Encoder()


def decode_assist(body: bytes) -> AssistRequest:
    """Read an assist request.

    Raises:
        BadRequest: with the path of what is wrong.
    """
    return _decoded(_ASSIST, body)


def decode_chat(body: bytes) -> ChatRequest:
    """Read a chat request.

    Raises:
        BadRequest: with the path of what is wrong, or the name of a field that this
            gateway does not serve.
    """
    request = _decoded(_CHAT, body)
    for name in NOT_SERVED:
        value = getattr(request, name)
        if isinstance(value, msgspec.Raw) and bytes(value) not in (
            b"null",
            b"[]",
            b"{}",
        ):
            raise BadRequest(f"`{name}` is not served here; leave it out", param=name)
    return request


def decode_feedback(body: bytes) -> FeedbackRequest:
    """Read feedback.

    Raises:
        BadRequest: with the path of what is wrong.
    """
    return _decoded(_FEEDBACK, body)


def _decoded(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `")
        path = where.rstrip("`").removeprefix("$").lstrip(".") or None
        raise BadRequest(message, param=path) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply; at most 64 levels") from error


class UsageOut(msgspec.Struct, frozen=True):
    """Tokens of an answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Wastegate(msgspec.Struct, frozen=True):
    """What the headers say, for a stream's last chunk, where headers are long gone."""

    generator: str
    model: str
    reason: str
    verdict: str | None = None
    repairs: tuple[str, ...] = ()


class AssistAnswer(msgspec.Struct, frozen=True):
    """200 of `POST /v1/assist`."""

    id: str
    output: msgspec.Raw
    generator: str
    model: str
    reason: str
    verdict: str
    repairs: tuple[str, ...]
    usage: UsageOut


class AssistDelta(msgspec.Struct, frozen=True):
    """A piece of a live answer's text; the last event has the whole answer."""

    id: str
    delta: str


class MessageOut(msgspec.Struct, frozen=True):
    """The assistant's message."""

    content: str
    role: Literal["assistant"] = "assistant"


class ChoiceOut(msgspec.Struct, frozen=True):
    """The one choice of a checked chat."""

    message: MessageOut
    index: int = 0
    finish_reason: Literal["stop"] = "stop"


class ChatAnswer(msgspec.Struct, frozen=True):
    """200 of a checked `POST /v1/chat/completions`."""

    id: str
    created: int
    model: str
    choices: tuple[ChoiceOut]
    usage: UsageOut
    wastegate: Wastegate
    object: Literal["chat.completion"] = "chat.completion"


class DeltaOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of a streamed, checked chat."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoiceOut(msgspec.Struct, frozen=True):
    """The one choice of a streamed chunk."""

    delta: DeltaOut
    finish_reason: Literal["stop"] | None = None
    index: int = 0


class ChunkOut(msgspec.Struct, frozen=True):
    """A chunk of a checked chat."""

    id: str
    created: int
    model: str
    choices: tuple[ChunkChoiceOut, ...]
    usage: UsageOut | msgspec.UnsetType = msgspec.UNSET
    wastegate: Wastegate | msgspec.UnsetType = msgspec.UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


def usage_of(trace: Trace) -> UsageOut:
    """The tokens of a finished request; a re-ask's are added to the first's."""
    prompt, completion = trace.prompt_tokens, trace.completion_tokens
    return UsageOut(prompt, completion, prompt + completion)


def wastegate_of(trace: Trace) -> Wastegate:
    """What a finished request's headers say, as a value."""
    return Wastegate(
        trace.generator, trace.model, trace.reason, trace.verdict, trace.repairs
    )
