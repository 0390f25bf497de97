"""What can go wrong with a vLLM server, each as one field to set."""

from typing import Literal

import msgspec

from gateway.engine.fake_answers import Answer, default_answer

Malformed = Literal[
    "", "no_done", "no_finish", "error_event", "endless_event", "html", "not_http"
]


class Quirks(msgspec.Struct, frozen=True):
    """How the fake behaves; the defaults are a healthy server.

    Chunks are counted from 0; chunk 0 is the one that only tells the role.
    """

    answer: Answer = default_answer

    # time, all in seconds
    first_token_delay: float = 0.0
    """Between the answer's head and chunk 0; before the whole answer without stream."""
    adapter_delay: float = 0.0
    """On top of `first_token_delay`, where an adapter answers."""
    chunk_delay: float = 0.0
    """Before each chunk but chunk 0; as much for each token of a whole answer."""
    load_delay: float = 0.0
    """A load takes as long and goes on when its client has left, as in vLLM."""

    # adapters
    load_error: int = 0
    """HTTP status of every load, 0 for none."""
    load_dies: bool = False
    """A load ends in a reset connection, and is done nevertheless."""
    no_admin: bool = False
    """Loads and unloads are never answered, while everything else goes on."""
    ghost_unload: bool = False
    """An unload answers 200 and takes the name from the list; the name still works."""
    hidden: frozenset[str] = frozenset()
    """Names that `/v1/models` leaves out."""
    invented: frozenset[str] = frozenset()
    """Names that `/v1/models` lists although nothing is there."""
    silent: bool = False
    """Adapters have no effect: the base answers under their names."""
    echoed_model: str = ""
    """Another name than the one asked for in the answer's `model`."""

    # failures
    status: int = 0
    """HTTP status of every completion until it is taken back, 0 for none."""
    unhealthy: bool = False
    """`/health` is 503: the engine's loop has died."""
    freeze: bool = False
    """Connections are accepted, nothing is answered, until it is taken back."""
    freeze_at: int | None = None
    """A stream stops before this chunk and stays open."""
    die_at: int | None = None
    """A stream's connection is reset before this chunk; without stream, any value
    resets it in the middle of the body."""
    die_inside_character: bool = False
    """With `die_at`: that chunk still goes out up to the middle of its first
    character of several bytes (or to its half when it has none)."""
    error_at: int | None = None
    """An error event and `[DONE]` take the place of this chunk and all after it."""
    cut_at_byte: int | None = None
    """A stream's connection is reset after so many bytes of its body, be it inside a
    line or a character; a shorter stream is left alone."""
    cut_cleanly: bool = False
    """With `cut_at_byte`: the body ends there as a whole one does."""
    malformed: Malformed = ""
    """How a stream is broken: a missing `[DONE]`; no chunk that says why it finished;
    an error event before the last chunk and then `[DONE]`; an event that never ends; a
    page instead of events; no HTTP."""
    keep_alive: bool = False
    """An SSE comment before every chunk."""
    finish_reason: str = ""
    """Another reason than `stop` (or `length` by `max_tokens`)."""
