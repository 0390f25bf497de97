"""Which tokens of an answer say its key fields, and what their loss weighs.

An answer of 40 tokens has one or two that decide whether it is right: the status, and
the ids that are cited. Everywhere alike, the loss is mostly of the wording.
"""

from collections.abc import Mapping, Sequence
from json import JSONDecodeError, JSONDecoder
from typing import Final

import msgspec

from training.errors import DataError

_DECODER: Final = JSONDecoder()


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the tokens of a field's value; everything else weighs 1."""

    status: float = 1.0
    citations: float = 1.0


def spans(text: str) -> dict[str, tuple[int, int]]:
    """Where the values of a JSON object's fields stand, quotes and brackets included.

    Args:
        text: one object.

    Raises:
        DataError: it is none.
    """
    found: dict[str, tuple[int, int]] = {}
    try:
        at = _beyond(text, 0, "{")
        while text[at] != "}":
            if found:
                at = _beyond(text, at, ",")
            name, at = _DECODER.raw_decode(text, at)
            at = _beyond(text, at, ":")
            _, end = _DECODER.raw_decode(text, at)
            found[name] = (at, end)
            at = _blank(text, end)
    except (JSONDecodeError, IndexError) as error:
        raise DataError(f"an answer is no JSON object: {text[:80]!r}") from error
    return found


def weights(
    text: str, offsets: Sequence[tuple[int, int]], fields: Fields
) -> tuple[float, ...]:
    """What each token weighs.

    Args:
        text: the answer.
        offsets: where each token stands in it, as tokenizers give them. One that is
            partly in a field's value counts as of the field.
        fields: their weights.
    """
    wanted: Mapping[str, float] = msgspec.structs.asdict(fields)
    heavy = [
        (wanted[name], *span) for name, span in spans(text).items() if name in wanted
    ]
    return tuple(
        max((w for w, begin, end in heavy if start < end and begin < stop), default=1.0)
        for start, stop in offsets
    )


def _beyond(text: str, at: int, mark: str) -> int:
    """Behind a mark, and the blanks around it."""
    at = _blank(text, at)
    if text[at] != mark:
        raise JSONDecodeError(f"no {mark}", text, at)
    return _blank(text, at + 1)


def _blank(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at
