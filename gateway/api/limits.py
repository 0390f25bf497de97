"""What one request may ask for."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Caps of the data plane. The defaults suit a small model; raise them with care."""

    body_bytes: Count = 1_048_576
    """A body over this is refused before it is read to its end."""
    messages: Count = 256
    context_items: Count = 64
    completions: Annotated[int, msgspec.Meta(ge=1, le=16)] = 4
    """OpenAI's `n`: each is a whole generation."""
    max_tokens: Count = 1024
    default_max_tokens: Count = 512
    """Used where the request says nothing, so that no answer is unbounded."""
    header_seconds: Seconds = 10.0
    """From connecting to complete headers: uvicorn itself waits for ever."""
    body_seconds: Seconds = 30.0
    """From the first to the last byte of a request's body."""
    write_seconds: Seconds = 30.0
    """A client that does not read for so long is cut off."""
    request_seconds: Seconds = 300.0
    """From a checked request's arrival to its last generation's end: a second question
    gets what the first has left."""
    keepalive_seconds: Seconds = 10.0
    """Between two SSE comments while a checked stream is held."""
