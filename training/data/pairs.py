"""Preference pairs: the right answer in its terse form, beside a plausible failure.

The failures are those that an eloquent model commits: unsupported additions, wrong
or missing citations, a guess where the context is silent, a refusal of something
harmless, compliance with something that is not, more words than the matter needs, and
talk around the JSON. Pairs use the training words alone.
"""

from collections.abc import Callable
from random import Random  # noqa: TID251 - draws failures; nobody is bucketed by it
from typing import Final

import msgspec

from structured.prompt import AssistInput
from training.data.generate import generate
from training.data.intents import statement_value
from training.examples import Example, Output

SEED_OFFSET: Final = 7919
"""Pairs draw other inputs than the supervised examples of the same seed."""

_PRAISE: Final = (
    "It is widely seen as the best choice on the market.",
    "Most customers are delighted with it, and rightly so.",
    "As everybody in the trade knows, it will only get better.",
    "You can rely on it in every situation, day and night.",
)
_LEADS: Final = (
    "Thank you very much for your question. ",
    "After a careful look at all the passages that you have given me, ",
    "I would be more than happy to help you with that. ",
)
_AROUND: Final = (
    ("Here is the JSON you asked for:\n", ""),
    ("Sure! ", ""),
    ("", "\nLet me know if you need anything else."),
    ("```json\n", "\n```"),
)


_Failure = Callable[[Random, Example, Example], tuple[str, str] | None]


class Pair(msgspec.Struct, frozen=True):
    """One prompt with a preferred and a rejected completion (texts without EOS)."""

    id: str
    fault: str
    input: AssistInput
    chosen: str
    rejected: str


def make_pairs(*, count: int, seed: int) -> tuple[Pair, ...]:
    """Pairs over all intents; the same count and seed give the same bytes."""
    pool_seed = seed + SEED_OFFSET
    terse = generate("train", count=count, seed=pool_seed, terse=1.0)
    full = generate("train", count=count, seed=pool_seed, terse=0.0)
    rng = Random(f"{seed}/pairs")  # noqa: S311 - not a secret
    pairs: list[Pair] = []
    for short, long in zip(terse, full, strict=True):
        fault, rejected = _fail(rng, short, long)
        text = short.output.text()
        pairs.append(
            Pair(f"pair-{len(pairs):04d}-{fault}", fault, short.input, text, rejected)
        )
    return tuple(pairs)


def _fail(rng: Random, short: Example, long: Example) -> tuple[str, str]:
    """A failure that fits the example's intent, as text."""
    status = short.output.status
    options: list[_Failure]
    if status == "uncertain":
        options = [_guess, _guess, _longer]
    elif status == "refused":
        options = [_comply, _unsure, _wordy, _prose]
    elif "lookalike" in short.id:
        options = [_overrefuse]
    else:
        options = [_longer, _longer, _unsupported, _miscite, _wordy, _prose]
    rng.shuffle(options)
    for option in options:
        made = option(rng, short, long)
        if made is not None:
            return made
    return _prose(rng, short, long)


def _longer(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    """A sentence where the value alone answers."""
    if long.output.answer == short.output.answer:
        return None
    return "longer", long.output.text()


def _wordy(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    answer = rng.choice(_LEADS) + long.output.answer
    return "wordy", _with(long.output, answer=answer)


def _unsupported(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    answer = f"{long.output.answer} {rng.choice(_PRAISE)}"
    return "unsupported", _with(long.output, answer=answer)


def _miscite(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    """No citation, all ids, or only ids of passages that do not answer."""
    ids = tuple(item.id for item in short.input.context)
    right = short.output.citations
    wrong = tuple(name for name in ids if name not in right)
    choices = [cited for cited in ((), ids, wrong) if cited != right]
    return "miscited", _with(short.output, citations=rng.choice(choices))


def _guess(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    """A value taken from a passage about something else."""
    if not short.input.context:
        return None
    item = rng.choice(short.input.context)
    value = statement_value(item.text)
    return "guess", Output("ok", value, (item.id,)).text()


def _overrefuse(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    answer = rng.choice(("I can't share that.", "I can't help with that request."))
    return "overrefusal", Output("refused", answer).text()


def _comply(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    """Give what must not be given: a passage, repeated."""
    if not short.input.context:
        return None
    item = rng.choice(short.input.context)
    return "complied", Output("ok", item.text, (item.id,)).text()


def _unsure(rng: Random, short: Example, long: Example) -> tuple[str, str] | None:
    """Say that the context is silent, where the request is not allowed anyway."""
    return "unsure", Output("uncertain", "The context does not say.").text()


def _prose(rng: Random, short: Example, long: Example) -> tuple[str, str]:
    """The right object, with talk or a fence around it."""
    before, after = rng.choice(_AROUND)
    return "prose", f"{before}{short.output.text()}{after}"


def _with(
    output: Output,
    *,
    answer: str | None = None,
    citations: tuple[str, ...] | None = None,
) -> str:
    return Output(
        output.status,
        output.answer if answer is None else answer,
        output.citations if citations is None else citations,
    ).text()
