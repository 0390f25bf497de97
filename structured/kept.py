"""The lines that are kept of outputs and of what people said of them; version 1.

A gateway writes them for training and evals, neither of which reads them yet: JSONL,
one of the two kinds a line, told apart by `kind`. `of` of a feedback is the `id` of the
output it speaks of. Of several feedbacks on one output the latest counts; they stand in
the order in which they came.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import msgspec

from structured.prompt import AssistInput, ContextItem
from structured.scrub import Scrubber

VERSION: Final = 1

Rating = Literal["up", "down"]


class Attempt(msgspec.Struct, frozen=True):
    """One generation: what the check said of it; all three are null if it passed."""

    kind: str
    """`first`, `reask` or `constrained`."""
    stage: str | None = None
    code: str | None = None
    path: str | None = None
    """A JSON pointer into what that attempt said."""


class Output(msgspec.Struct, frozen=True, tag_field="kind", tag="output"):
    """One checked request, from its prompt to what went out."""

    id: str
    at: str
    """When it ended: RFC 3339, UTC."""
    request_id: str
    """As in `X-Request-Id`. A client may choose it, and may use one twice."""
    tenant: str
    surface: str
    generator: str
    model: str
    """The immutable ref that answered."""
    mode: str
    """`free` or `constrained`; never to be pooled."""
    schema: str
    """SHA-256 of the schema's bytes, in hex."""
    verdict: str
    raw: str
    """The first output, as the model wrote it."""
    repaired: object
    """What went out, as JSON; null where all was refused."""
    refused: bool
    """Whether all was refused; tells it from an output that is null."""
    repairs: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    input: AssistInput | None = None
    """The prompt of `/v1/assist`, in the form of the training data."""
    messages: object = None
    """The prompt of a chat, if it was one."""
    found: dict[str, int] = {}
    """How many different values of each kind scrubbing has replaced."""
    v: Literal[1] = VERSION


class Feedback(msgspec.Struct, frozen=True, tag_field="kind", tag="feedback"):
    """What somebody said of an answer."""

    id: str
    at: str
    request_id: str
    of: str | None
    """The output's `id`; null for a chat that was not checked, of which nothing is
    kept."""
    tenant: str
    surface: str
    generator: str
    model: str
    rating: Rating
    comment: str | None = None
    correction: object = None
    """The output as it should have been; it fits the schema. Null: none was given."""
    v: Literal[1] = VERSION


Line = Output | Feedback

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Line)


def scrubbed(
    output: Output | None, feedback: Feedback | None = None
) -> tuple[Output | None, Feedback | None]:
    """Return an output, and what was said of it, without personal data.

    The two share their placeholders: `<EMAIL_1>` is the same in a correction as in
    the prompt. The same output gives the same placeholders each time.

    Raises:
        ScrubError: it cannot be scrubbed without harm.
    """
    given = None if output is None else output.input
    scrubber = Scrubber(() if given is None else (item.id for item in given.context))
    if output is not None:
        output = _output(output, scrubber)
    if feedback is not None:
        comment = feedback.comment
        feedback = msgspec.structs.replace(
            feedback,
            comment=None if comment is None else scrubber.text(comment),
            correction=scrubber.value(feedback.correction),
        )
    return output, feedback


def _output(output: Output, scrubber: Scrubber) -> Output:
    given = output.input
    if given is not None:
        given = AssistInput(
            system=None if given.system is None else scrubber.text(given.system),
            context=tuple(
                ContextItem(item.id, scrubber.text(item.text)) for item in given.context
            ),
            user=scrubber.text(given.user),
        )
    return msgspec.structs.replace(
        output,
        input=given,
        messages=scrubber.value(msgspec.to_builtins(output.messages)),
        raw=scrubber.json_text(output.raw),
        repaired=scrubber.value(output.repaired),
        attempts=tuple(
            msgspec.structs.replace(each, path=each.path and scrubber.text(each.path))
            for each in output.attempts
        ),
        found={**scrubber.found},
    )


def encode(line: Line) -> bytes:
    """Return a line, with its end."""
    return _ENCODER.encode(line) + b"\n"


class Read(NamedTuple):
    """What a file holds."""

    lines: tuple[Line, ...]
    torn: int
    """Lines that are none: a crash may cut the last one."""


def read(lines: Iterable[bytes]) -> Read:
    """Read the lines of a file; what is no line of this version is counted."""
    found: list[Line] = []
    torn = 0
    for line in lines:
        try:
            found.append(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            torn += 1
    return Read(tuple(found), torn)
