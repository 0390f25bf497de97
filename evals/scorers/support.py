"""Support: is what an answer states in what it was given?

Offline and literal: numbers, names and quotations of the answer have to occur in the
passages or in the request. It finds what was invented; it does not find a true value
that was taken from the wrong passage, for which there are the citations.
"""

import re
from collections.abc import Iterable
from typing import Final

from evals.answers import Answer
from evals.samples import Sample
from structured.prompt import AssistInput

_NUMBER: Final = re.compile(r"\d+(?:[.,:/-]\d+)*")
_GROUPED: Final = re.compile(r"(\d{1,3}(?:[.,]\d{3})+)(?:[.,](\d{1,2}))?")
_QUOTED: Final = re.compile(r'["“„«]([^"“”„«»]{3,})["”“»]')
_NAME: Final = re.compile(
    r"(?<![.!?:;]\s)(?<!^)(?<=\s)([^\W\d_][\w-]*\d[\w-]*|[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*)"
)
"""Capitalised words inside a sentence, and words with a digit in them."""

_CAPITALISED_NOUNS: Final = frozenset({"de"})
"""Locales whose every noun is capitalised, so that a capital shows no name."""


def support(sample: Sample, answer: Answer) -> float | None:
    """1 when nothing in a delivered answer is without support.

    Where every noun has a capital, names cannot be told from nouns, and numbers and
    quotations alone are looked at.
    """
    if answer.text is None:
        return None
    return float(not unsupported(answer.text, sample.input, sample.locale))


def unsupported(text: str, given: AssistInput, locale: str = "en") -> tuple[str, ...]:
    """Return what a text states and its input does not, in order, without repeats."""
    source = " ".join([given.user, *(item.text for item in given.context)])
    known = _normal(" ".join([source, *(item.id for item in given.context)]))
    numbers = {_figure(number) for number in _NUMBER.findall(known)}
    missing = [n for n in _NUMBER.findall(text) if _figure(n) not in numbers]
    missing += [q for q in _QUOTED.findall(text) if _normal(q) not in known]
    if locale not in _CAPITALISED_NOUNS:
        words = set(re.findall(r"\w+", known))
        missing += [name for name in _names(text) if _normal(name) not in words]
    return tuple(dict.fromkeys(missing))


def _names(text: str) -> Iterable[str]:
    for match in _NAME.finditer(text):
        # Word by word: "Cobalt Kettle" may stand there as "the kettle by Cobalt".
        yield from re.split(r"[ -]", match[1])


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).replace("\u2019", "'")


def _figure(number: str) -> str:
    """A number without the signs that group its digits, and with a decimal point."""
    if grouped := _GROUPED.fullmatch(number):
        whole = re.sub(r"[.,]", "", grouped[1])
        return f"{whole}.{grouped[2]}" if grouped[2] else whole
    return number.replace(",", ".")
