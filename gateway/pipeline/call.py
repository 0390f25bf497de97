"""What the pipeline is asked to do: one frozen value a request."""

from typing import Final, Literal

import msgspec

from structured.prompt import AssistInput, Message
from structured.schema import Schema

Keep = Literal["none", "flawed", "all"]
UnitKind = Literal["conversation", "tenant", "request"]
CheckedMode = Literal["free", "constrained"]
LastResort = Literal["none", "constrained"]


class Tenant(msgspec.Struct, frozen=True):
    """Who asks."""

    name: str
    surfaces: frozenset[str]
    fallback: Literal["none", "base"]
    cache_salt: str
    """Keeps the engine's prefix cache apart between tenants; never the client's."""
    show_raw: bool = False
    """Whether an output that is refused is shown in the error."""
    region: str = ""
    """Where its requests stay; empty is anywhere. See `gateway.isolation`."""
    keep: Keep = "none"
    """Which checked outputs are kept for training; see `gateway.keep`."""


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """The only kind of content part that is let through: no media, no URLs."""

    text: str


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a chat, as it goes on to the engine."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[TextPart, ...]
    name: str | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True):
    """The sampling fields that are passed on; what is not here is not passed on."""

    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    n: int = 1
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool = False
    top_logprobs: int | None = None


class JsonSchemaFormat(msgspec.Struct, frozen=True, omit_defaults=True):
    """OpenAI's `response_format.json_schema`."""

    name: str
    schema: msgspec.Raw


class ResponseFormat(msgspec.Struct, frozen=True):
    """vLLM's `response_format`: what decoding is bound to."""

    json_schema: JsonSchemaFormat
    type: Literal["json_schema"] = "json_schema"


class Surface(msgspec.Struct, frozen=True):
    """The place in the product that asks; its schema is compiled."""

    name: str
    schema: Schema | None = None
    mode: CheckedMode = "free"
    """Whether the engine's decoding is bound to the schema."""
    repair: bool = True
    drop_extra: bool = False
    """Whether a repair may drop members that the schema does not know."""
    reask: int = 0
    """Second questions after an output that could not be repaired."""
    last_resort: LastResort = "none"
    """What comes when free decoding has failed for good."""
    stream: Literal["validated", "live"] = "validated"
    """Whether a stream waits until it has passed, or only its end does."""
    unit: UnitKind = "conversation"
    shadow: bool = False
    """Whether its requests may be asked a second time, of a rollout's candidate."""


Spoken = tuple[ChatMessage, ...] | tuple[Message, ...]
"""A chat, as a client sent it or as an input was rendered."""


class Call(msgspec.Struct, frozen=True):
    """One request, understood."""

    request_id: str
    tenant: Tenant
    surface: Surface
    messages: Spoken
    sampling: Sampling
    unit: str | None
    schema: Schema | None = None
    """The surface's, or the request's own; none means that nothing is checked."""
    constrained: bool = False
    """Whether decoding is bound to the schema from the first question on."""
    given: AssistInput | None = None
    """What `messages` were rendered from; none for a chat."""
    seconds: float = 300.0
    """How long the request may take, from its arrival."""
    stream: bool = False
    include_usage: bool = False

    @property
    def mode(self) -> Literal["none", "free", "constrained"]:
        """How adherence is to be counted: the two modes are never pooled."""
        if self.schema is None:
            return "none"
        return "constrained" if self.constrained else "free"

    @property
    def conversation(self) -> str | None:
        """What is best served where it was served before."""
        return None if self.surface.unit == "request" else self.unit

    @property
    def context_ids(self) -> frozenset[str] | None:
        """What may be cited; unknown for a plain chat, and then not checked."""
        return None if self.given is None else self.given.context_ids


class Upstream(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body that the engine gets: rebuilt, so nothing unknown rides along."""

    model: str
    messages: Spoken
    max_tokens: int
    cache_salt: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int = 1
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool = False
    top_logprobs: int | None = None


_ENCODER: Final = msgspec.json.Encoder()


def upstream_body(
    call: Call,
    model: str,
    *,
    stream: bool,
    messages: Spoken | None = None,
    response_format: ResponseFormat | None = None,
) -> bytes:
    """The engine's request for a call.

    Args:
        call: what is asked.
        model: a name that the engine knows.
        stream: whether the answer is to come in pieces.
        messages: in place of the call's own, for a second question.
        response_format: what decoding is bound to; none is free decoding.
    """
    sampling = call.sampling
    return _ENCODER.encode(
        Upstream(
            model=model,
            messages=messages or call.messages,
            max_tokens=sampling.max_tokens,
            cache_salt=call.tenant.cache_salt,
            stream=stream,
            stream_options=StreamOptions(include_usage=True) if stream else None,
            response_format=response_format,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            n=sampling.n,
            stop=sampling.stop,
            seed=sampling.seed,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            logprobs=sampling.logprobs,
            top_logprobs=sampling.top_logprobs,
        )
    )
