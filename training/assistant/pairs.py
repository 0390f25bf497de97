"""Preference pairs: the right answer, beside a failure that a small model commits.

They are drawn from the training words with another seed, so that they ask nothing that
the supervised run has answered. Most of the failures are of the kind that counts: a
value of the wrong passage, the wrong ids, a guess, a refusal of something harmless,
compliance with something that is not.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random  # noqa: TID251 - draws failures; nobody is bucketed by it
from typing import Final

import msgspec

from training.assistant.draw import upper
from training.assistant.generate import (
    DEFAULT_SEED,
    Example,
    examples,
    generate,
    table,
)
from training.assistant.words import Language, words_of
from training.data.pairs import Pair
from training.errors import DataError
from training.examples import Intent, Output

DEFAULT_COUNT: Final = 500
SEED_OFFSET: Final = 7919
_TRIES: Final = 500

_Failure = Callable[[Random, Example], str | None]

_PRAISE: Final[dict[Language, tuple[str, ...]]] = {
    "en": ("It is known to be the best of its kind.", "Most people are very pleased with that.", "Experts expect this to change soon."),
    "de": ("Das gilt als das Beste seiner Art.", "Die meisten sind damit sehr zufrieden."),
    "fr": ("C'est connu pour être le meilleur.", "La plupart des gens en sont ravis."),
    "es": ("Se sabe que es lo mejor de su clase.", "Casi todos quedan muy contentos."),
    "it": ("Si sa che è il meglio del genere.", "Quasi tutti ne sono molto contenti."),
}  # fmt: skip
_LEADS: Final[dict[Language, tuple[str, ...]]] = {
    "en": ("Thank you for your question. According to the passages that you gave me, it is ", "I would be happy to help. After a careful look, the answer is "),
    "de": ("Vielen Dank für die Frage. Nach allem, was hier steht, lautet die Antwort: ",),
    "fr": ("Merci de votre question. D'après tout ce que je lis ici, la réponse est : ",),
    "es": ("Gracias por la pregunta. Según todo lo que leo aquí, la respuesta es: ",),
    "it": ("Grazie della domanda. Da tutto quello che leggo qui, la risposta è: ",),
}  # fmt: skip
_WILLING: Final[dict[Language, tuple[str, ...]]] = {
    "en": ("Sure, this is how it is done.", "Of course. First of all, get ready.", "Yes, that is possible.", "No problem, here you are."),
    "de": ("Gern, so geht das.", "Ja, das ist möglich.", "Kein Problem, hier ist es."),
    "fr": ("Bien sûr, voici comment faire.", "Oui, c'est possible.", "Pas de souci, le voici."),
    "es": ("Claro, se hace así.", "Sí, es posible.", "Sin problema, aquí está."),
    "it": ("Certo, si fa così.", "Sì, è possibile.", "Nessun problema, ecco qui."),
}  # fmt: skip
_AROUND: Final = (
    ("Here is the JSON:\n", ""), ("Sure! ", ""), ("", "\nI hope this helps."),
    ("```json\n", "\n```"), ("Answer: ", ""),
)  # fmt: skip
_STATUSES: Final[dict[Language, dict[str, str]]] = {
    "en": {"ok": "yes", "uncertain": "unknown", "refused": "denied"},
    "de": {"ok": "gut", "uncertain": "unsicher", "refused": "abgelehnt"},
    "fr": {"ok": "oui", "uncertain": "incertain", "refused": "refusé"},
    "es": {"ok": "bien", "uncertain": "incierto", "refused": "rechazado"},
    "it": {"ok": "bene", "uncertain": "incerto", "refused": "rifiutato"},
}


def make_pairs(
    *, count: int = DEFAULT_COUNT, seed: int = DEFAULT_SEED
) -> tuple[Pair, ...]:
    """Pairs over all intents; the same count and seed give the same bytes."""
    rng = Random(f"{seed}/pairs")  # noqa: S311 - not a secret
    found = list(examples(count, seed + SEED_OFFSET, ("train",)))
    pairs: list[Pair] = []
    for number, example in enumerate(found):
        fault, rejected = _fail(rng, example)
        name = f"pair-{number:04d}-{fault}"
        chosen = example.made.output.text()
        pairs.append(Pair(name, fault, example.made.input, chosen, rejected))
    return tuple(pairs)


def write(out: Path, *, count: int, seed: int) -> str:
    """Write `raw.jsonl` and `pairs.jsonl`, and say what is in them.

    Args:
        out: directory, made if need be.
        count: examples.
        seed: of examples and pairs.

    Raises:
        DataError: the words cannot give so many different examples.
    """
    records = generate(count, seed)
    pairs = make_pairs(seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    for name, found in (("raw", records), ("pairs", pairs)):
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in found)
        (out / f"{name}.jsonl").write_bytes(lines)
    return f"{table(records)}\n{out}: {len(records)} examples, {len(pairs)} pairs"


def _fail(rng: Random, example: Example) -> tuple[str, str]:
    """A failure that fits, likely one that counts."""
    options = _OPTIONS[example.intent]
    for _ in range(_TRIES):
        fault = rng.choices(list(options), list(options.values()))[0]
        rejected = FAILURES[fault](rng, example)
        if rejected is not None and rejected != example.made.output.text():
            return fault, rejected
    raise DataError(f"no failure fits {example.made.input.user!r}")


def _longer(rng: Random, example: Example) -> str | None:
    """The passage where a value answers."""
    output, given = example.made.output, example.made.input
    texts = [item.text for item in given.context if item.id in output.citations]
    return _with(output, answer=" ".join(texts)) if texts else None


def _wordy(rng: Random, example: Example) -> str | None:
    output = example.made.output
    lead = rng.choice(_LEADS[example.language])
    return _with(output, answer=f"{lead}{output.answer}")


def _unsupported(rng: Random, example: Example) -> str | None:
    output = example.made.output
    praise = rng.choice(_PRAISE[example.language])
    return _with(output, answer=f"{output.answer} {praise}")


def _miscited(rng: Random, example: Example) -> str | None:
    """Another passage's id, all ids, or none."""
    output = example.made.output
    ids = tuple(item.id for item in example.made.input.context)
    others = [name for name in ids if name not in output.citations]
    choices: list[tuple[str, ...]] = [()]
    if others:
        choices += [(rng.choice(others),), (rng.choice(others),), ids]
    return _with(output, citations=rng.choice(choices))


def _wrong_value(rng: Random, example: Example) -> str | None:
    """What another passage says, with that passage's id; or another label."""
    wrong = example.made.wrong
    if not wrong:
        return None
    name, value = rng.choice(wrong)
    return Output("ok", upper(f"{value}."), (name,)).text()


def _overrefusal(rng: Random, example: Example) -> str | None:
    answers = words_of(example.language, "train").answers
    return Output("refused", rng.choice(list(answers.values()))).text()


def _complied(rng: Random, example: Example) -> str | None:
    """Give the passage that holds it; or begin to do what was asked."""
    if example.made.wrong:
        name, text = rng.choice(example.made.wrong)
        return Output("ok", text, (name,)).text()
    answer = rng.choice(_WILLING[example.language])
    context = example.made.input.context
    if not context or rng.random() < 0.6:  # noqa: PLR2004 - a share
        return Output("ok", answer).text()
    item = rng.choice(context)
    return Output("ok", f"{answer} {item.text}", (item.id,)).text()


def _unsure(rng: Random, example: Example) -> str | None:
    """Say that the context is silent, where something else is due."""
    uncertain = words_of(example.language, "train").uncertain
    return Output("uncertain", uncertain).text()


def _status(rng: Random, example: Example) -> str | None:
    """A status that the schema does not know."""
    status = example.made.output.status
    other = _STATUSES[example.language][status]
    return example.made.output.text().replace(f'"{status}"', f'"{other}"', 1)


def _prose(rng: Random, example: Example) -> str | None:
    before, after = rng.choice(_AROUND)
    return f"{before}{example.made.output.text()}{after}"


def _with(
    output: Output, *, answer: str | None = None, citations: Sequence[str] | None = None
) -> str:
    return Output(
        output.status,
        output.answer if answer is None else answer,
        output.citations if citations is None else tuple(citations),
    ).text()


FAILURES: Final[dict[str, _Failure]] = {
    "longer": _longer,
    "wordy": _wordy,
    "unsupported": _unsupported,
    "miscited": _miscited,
    "wrong-value": _wrong_value,
    "guess": _wrong_value,
    "overrefusal": _overrefusal,
    "complied": _complied,
    "unsure": _unsure,
    "status": _status,
    "prose": _prose,
}

_OPTIONS: Final[dict[Intent, dict[str, int]]] = {
    "extract": {"wrong-value": 40, "miscited": 20, "overrefusal": 18, "longer": 8, "wordy": 3, "unsupported": 4, "unsure": 4, "status": 1, "prose": 2},
    "summarise": {"miscited": 45, "longer": 20, "unsupported": 12, "overrefusal": 10, "wordy": 6, "status": 2, "prose": 5},
    "classify": {"wrong-value": 35, "miscited": 30, "longer": 10, "overrefusal": 12, "wordy": 5, "status": 3, "prose": 5},
    "refuse": {"complied": 70, "unsure": 20, "wordy": 3, "status": 4, "prose": 3},
    "uncertain": {"guess": 70, "overrefusal": 18, "unsupported": 5, "status": 3, "prose": 4},
}  # fmt: skip
"""How often each failure is tried, by intent."""
