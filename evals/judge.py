"""An optional judge: a model behind any OpenAI-compatible endpoint looks at answers.

It decides nothing. What it says stands beside the rules, with how often the two agree,
corrected for chance (Cohen's kappa, 1960). An answer of the judge that is no verdict is
counted as such, and is never a pass.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from evals.answers import Answer
from evals.samples import Sample

Opinion = Literal["pass", "fail", "nonsense"]

RUBRIC: Final = (
    "You grade an assistant's answer. It must use only the passages, answer the request"
    " directly, and be plain and short. Reply with one JSON object and nothing else:"
    ' {"verdict": "pass"} or {"verdict": "fail"}.'
)


class Agreement(msgspec.Struct, frozen=True):
    """How a judge stands to the rules, over answers that both have looked at."""

    n: int
    agreed: int
    nonsense: int
    kappa: float | None
    """1 is full agreement, 0 what chance gives; None where either always says the same."""


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    verdict: Literal["pass", "fail"]


def question(sample: Sample, answer: Answer) -> tuple[dict[str, str], ...]:
    """Return the messages that put one delivered answer to a judge.

    What comes from the sample or the model stands in JSON strings, so that it cannot
    be taken for the rubric's own words.
    """
    shown = {
        "passages": {item.id: item.text for item in sample.input.context},
        "request": sample.input.user,
        "answer": answer.text,
    }
    content = msgspec.json.encode(shown).decode()
    return (
        {"role": "system", "content": RUBRIC},
        {"role": "user", "content": content},
    )


def read(text: str) -> Opinion:
    """Return what a judge said; anything but the one object is nonsense."""
    try:
        return msgspec.json.decode(text.strip(), type=_Said).verdict
    except (msgspec.DecodeError, UnicodeError):
        return "nonsense"


def agreement(pairs: Iterable[tuple[Opinion, bool]]) -> Agreement:
    """Compare a judge with the rules: pairs of its opinion and whether they passed it."""
    both = list(pairs)
    said = [
        (opinion == "pass", rule) for opinion, rule in both if opinion != "nonsense"
    ]
    n = len(said)
    agreed = sum(one == other for one, other in said)
    return Agreement(n, agreed, len(both) - n, _kappa(said, agreed))


def _kappa(said: list[tuple[bool, bool]], agreed: int) -> float | None:
    if not said:
        return None
    n = len(said)
    judge = sum(one for one, _ in said) / n
    rules = sum(other for _, other in said) / n
    chance = judge * rules + (1 - judge) * (1 - rules)
    return None if chance >= 1 else (agreed / n - chance) / (1 - chance)
