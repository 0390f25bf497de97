"""Pairs from what the model itself says: its answers, ranked by rules.

A generator's faults are those that its author thought of. What an adapter really gets
wrong is in its own answers: it is asked for several, each is scored by the rules that
judge it in the evals, and the best stands against the worst. Grounded before eloquent,
a right refusal before a guess, and of two that are right the shorter.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from structured.schema import Schema, compile_schema
from training import quickcheck
from training.data.pairs import Pair
from training.examples import Example


class Draw(msgspec.Struct, frozen=True):
    """How answers are drawn."""

    samples: int = 4
    """Answers an example: one greedy, the others at `temperature`."""
    temperature: float = 0.8
    seed: int = 20_265


def own_pairs(
    base_dir: Path, adapter_dir: Path, asked: Sequence[Example], draw: Draw
) -> tuple[Pair, ...]:
    """Ask an adapter, and pair its answers.

    Raises:
        BaseError: the base is not there, or not what it was.
        DataError: there is no adapter.
    """
    import torch  # noqa: PLC0415 - heavy

    model, tokenizer = quickcheck.load(base_dir, adapter_dir)
    schema = compile_schema(quickcheck.SCHEMA.read_bytes(), name="assist")
    torch.manual_seed(draw.seed)
    answers: list[list[Said]] = [[] for _ in asked]
    for number in range(draw.samples):
        heat = draw.temperature if number else 0.0
        said = quickcheck.answer_all(model, tokenizer, asked, temperature=heat)
        for place, each in zip(answers, said, strict=True):
            place.append(Said(*each))
        print(f"answers {number + 1} of {draw.samples}", flush=True)  # noqa: T201 - a worker's progress
    return pairs(zip(asked, answers, strict=True), schema)


class Said(msgspec.Struct, frozen=True):
    """One answer of the model."""

    text: str
    tokens: int
    finished: bool


class Rank(msgspec.Struct, frozen=True, order=True):
    """What an answer is worth; fields in the order in which they count."""

    valid: bool
    """As it comes: what cannot be parsed is worth nothing, whatever it says."""
    status: bool
    citations: bool
    value: bool
    short: int
    """Minus its tokens."""


FAULTS: Final = {
    "valid": "malformed",
    "status": "wrong-status",
    "citations": "miscited",
    "value": "wrong-value",
    "short": "longer",
}
"""What the worse of a pair does worse, by the first field in which they differ."""

LONGER: Final = 1.3
"""Of two right answers, how many times as long the worse has to be: less is taste."""


def rank(example: Example, said: Said, schema: Schema) -> Rank:
    """Score one answer to an example."""
    seen = quickcheck.judge(
        example, said.text, said.tokens, schema, finished=said.finished
    )
    asks_for_value = example.output.status == "ok"
    return Rank(
        valid=seen.adheres,
        status=seen.status_right,
        citations=seen.citations_right,
        value=seen.value_right or not asks_for_value,
        short=-said.tokens,
    )


def pair(example: Example, answers: Sequence[Said], schema: Schema) -> Pair | None:
    """The best against the worst; None where they are as good as each other.

    Where the model has a right answer of its own, that one is chosen, since it is more
    likely under the model that is to be moved; else the example's is.

    Args:
        example: with its right answer.
        answers: the model's, at least one.
        schema: what answers adhere to.
    """
    ranked = sorted(
        ((rank(example, said, schema), said) for said in answers),
        key=lambda each: each[0],
    )
    worst, last = ranked[0]
    best, first = ranked[-1]
    right = best.valid and best.status and best.citations and best.value
    chosen = first.text if right else example.output.text()
    fault = _fault(worst, best) if right else _first_wrong(worst)
    if not fault or chosen == last.text:
        return None
    name = f"own-{example.id}-{fault}"
    return Pair(name, fault, example.input, chosen, last.text)


def pairs(
    asked: Iterable[tuple[Example, Sequence[Said]]], schema: Schema
) -> tuple[Pair, ...]:
    """A pair of each example whose answers differ in worth."""
    made = (pair(example, answers, schema) for example, answers in asked)
    return tuple(each for each in made if each is not None)


def _fault(worst: Rank, best: Rank) -> str:
    """Empty where the worst differs by a few words' length alone."""
    for name, fault in FAULTS.items():
        if getattr(worst, name) != getattr(best, name):
            if name == "short" and worst.short > best.short * LONGER:
                return ""
            return fault
    return ""


def _first_wrong(worst: Rank) -> str:
    for name, fault in FAULTS.items():
        if name != "short" and not getattr(worst, name):
            return fault
    return ""
