"""Texts of samples and answers, clipped, with the language they are in."""

import re
from difflib import SequenceMatcher
from typing import Final

from evals.answers import Answer
from evals.reports.tags import Html, clip, escape, join, tag
from evals.samples import Sample

QUESTION: Final = 500
ANSWER: Final = 400
PASSAGE: Final = 200
PASSAGES: Final = 8
DETAIL: Final = 200
ID: Final = 80
"""Characters, and passages, that are shown; the JSON has all."""

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def spoken(sample: Sample, text: str, limit: int) -> Html:
    """A text in the sample's language; its direction is its own."""
    known = _LANGUAGE.fullmatch(sample.locale)
    language = sample.locale if known else None
    return tag("span", clip(text, limit), lang=language, dir="auto", class_="text")


def name(sample_id: str) -> str:
    """A sample's id, clipped."""
    return clip(sample_id, ID)


def expected(sample: Sample) -> Html:
    """Status, citations and reference answer."""
    wanted = sample.expected
    return join(
        (
            _facts(wanted.status, wanted.citations),
            tag("br"),
            spoken(sample, wanted.answer, ANSWER),
        )
    )


def given(sample: Sample, answer: Answer | None) -> Html:
    """What came: status, citations and text, or why there is none."""
    if answer is None:
        return tag("em", "not asked")
    if answer.text is None:
        return tag("em", "nothing was delivered")
    return join(
        (
            _facts(answer.status or "no status", answer.citations),
            tag("br"),
            spoken(sample, answer.text, ANSWER),
        )
    )


def verdict(answer: Answer | None) -> Html:
    """The verdict of an output, its repairs and the reason of an error."""
    if answer is None:
        return Html()
    more = ", ".join(answer.repairs) or answer.detail
    why = tag("span", clip(more, DETAIL), class_="why") if more else ""
    return join((answer.verdict, why))


def differing(left: str, right: str) -> tuple[Html, Html]:
    """Two texts whose words that the other has not are marked, on one line each."""
    a, b = (clip(text, ANSWER).split() for text in (left, right))
    sides: tuple[list[Html], list[Html]] = ([], [])
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        for side, words in zip(sides, (a[a0:a1], b[b0:b1]), strict=True):
            if words:
                text = " ".join(words)
                side.append(escape(text) if kind == "equal" else tag("mark", text))
    return join(sides[0], " "), join(sides[1], " ")


def _facts(status: str, citations: tuple[str, ...]) -> Html:
    cited = ", ".join(name(each) for each in citations) or "nothing"
    return join((tag("b", status), f", cites {cited}"))
