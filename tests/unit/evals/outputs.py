"""Outputs as a model might write them, for the tests of drift and of the watch."""

from random import Random  # noqa: TID251 - draws outputs

from evals.answers import Answer

WORDS = ("the", "kettle", "holds", "one", "litre", "of", "water", "and", "warms", "it",
         "in", "four", "minutes", "at", "low", "power", "while", "lamp", "is", "blue")  # fmt: skip


def drawing(seed: int) -> Random:
    """What outputs are drawn with."""
    return Random(seed)  # noqa: S311 -- made-up outputs, no secret


def output(
    draw: Random,
    *,
    longer: int = 0,
    valid: float = 0.9,
    refuses: float = 0.1,
    words: tuple[str, ...] = WORDS,
) -> Answer:
    """One output; what it is made of is drawn."""
    size = draw.randint(4, 16) + longer
    said = " ".join(draw.choice(words) for _ in range(size))
    return Answer(
        sample=str(draw.random()),
        generator="lora",
        model="behav@v1",
        verdict="valid" if draw.random() < valid else "repaired",
        status="refused" if draw.random() < refuses else "ok",
        text=f"{said} {draw.randint(1, 99)}.",
        citations=("kb-1",) * draw.randint(0, 1),
        completion_tokens=2 * size,
    )
