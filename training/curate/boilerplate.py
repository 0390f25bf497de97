"""Boilerplate: sentences that so many passages share that they say nothing of any."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from training.curate.records import Record

_SENTENCE: Final = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s|$)|\n|$)\s*")


class Frequent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on a sentence is boilerplate."""

    share: float
    """Of all different passages."""
    least: int
    """And at least in so many of them: in a small set every share is large."""


def find(records: Iterable[Record], bar: Frequent) -> frozenset[str]:
    """Sentences that stand in so many different passages, in one spelling."""
    passages = {item.text for record in records for item in record.input.context}
    counts = Counter(
        sentence for text in passages for sentence in {_key(s) for s in _parts(text)}
    )
    enough = max(bar.least, bar.share * len(passages))
    return frozenset(said for said, count in counts.items() if said and count >= enough)


def without(record: Record, boilerplate: frozenset[str]) -> Record:
    """The record without them.

    What an answer may rest on is not taken: a sentence that the answer holds stays, and
    so does a passage that is nothing but boilerplate, since it may be cited.
    """
    answer = _key(record.output.answer)
    context = tuple(
        msgspec.structs.replace(item, text=_clean(item.text, boilerplate, answer))
        for item in record.input.context
    )
    given = msgspec.structs.replace(record.input, context=context)
    return msgspec.structs.replace(record, input=given)


def _clean(text: str, boilerplate: frozenset[str], answer: str) -> str:
    parts = _parts(text)
    kept = [
        part
        for part in parts
        if (key := _key(part)) not in boilerplate or (key and key in answer)
    ]
    if len(kept) == len(parts) or not "".join(kept).strip():
        return text
    return "".join(kept).strip()


def _parts(text: str) -> list[str]:
    return _SENTENCE.findall(text)


def _key(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
