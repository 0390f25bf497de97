"""The comparison: the same samples put to each generator, one after the other."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from evals import override, runner, samples
from evals.answers import Answer, Journal, Params, Subject
from evals.measures import MEASURES, Scored
from evals.override import Control
from evals.samples import Sample
from evals.statistics import Interval

GENERATORS: Final = ("base", "lora", "lora_pref")
BY_INTENT: Final = ("adherence", "status", "citations")
"""Measures shown for each intent."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be compared."""

    samples: tuple[Sample, ...]
    tenant: str
    params: Params
    generators: tuple[str, ...] = GENERATORS
    concurrency: int = 8

    @property
    def run(self) -> str:
        """Name of the run: the same samples and parameters go on in the same place."""
        parts = (samples.digest(self.samples), self.params)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]


class Column(msgspec.Struct, frozen=True):
    """One generator's results."""

    subject: Subject
    measures: dict[str, Interval | None]
    by_intent: dict[str, dict[str, Interval | None]]
    lost: dict[str, int]
    """Errors of outputs that were not delivered, by stage and path."""


class Table(msgspec.Struct, frozen=True):
    """All columns, and what they were made from."""

    run: str
    samples_digest: str
    n: int
    intents: dict[str, int]
    params: Params
    concurrency: int
    columns: tuple[Column, ...]


class Gateway(Control, Protocol):
    """The control plane, and the question itself."""

    async def ask(self, sample: Sample, subject: Subject, params: Params) -> Answer:
        """Put one sample to the subject."""
        ...


Watch = Callable[[str, int, int], None]
"""Called with (generator, done, total)."""


async def compare(plan: Plan, gateway: Gateway, home: Path, watch: Watch) -> Table:
    """Ask everything that is not recorded under `home` yet, and score all of it.

    Raises `RunFailedError`, `TargetError` or `SetupError`; the tenant's override is put
    back in any case.
    """
    why = f"evals table, run {plan.run}"
    columns: list[Column] = []
    journal = Journal.open(home / plan.run / "answers.jsonl")
    try:
        async with override.borrowed(gateway, plan.tenant, home, why):
            for generator in plan.generators:
                subject = await override.switch(
                    gateway, plan.tenant, plan.params.surface, generator, why
                )
                task = runner.Task(plan.samples, subject, plan.params, plan.concurrency)
                answered = await runner.run(
                    task,
                    gateway.ask,
                    journal,
                    lambda done, total, name=generator: watch(name, done, total),
                )
                columns.append(_column(subject, plan.samples, answered))
    finally:
        journal.close()
    return Table(
        plan.run,
        samples.digest(plan.samples),
        len(plan.samples),
        _counted([sample.intent for sample in plan.samples]),
        plan.params,
        plan.concurrency,
        tuple(columns),
    )


def _column(
    subject: Subject, asked: tuple[Sample, ...], answered: tuple[Answer, ...]
) -> Column:
    scored = list(zip(asked, answered, strict=True))
    return Column(
        subject,
        {measure.name: measure.of(scored) for measure in MEASURES},
        {
            intent: _of_intent([pair for pair in scored if pair[0].intent == intent])
            for intent in sorted({sample.intent for sample in asked})
        },
        _counted(
            [answer.detail or answer.verdict for answer in answered if not answer.text]
        ),
    )


def _of_intent(scored: list[Scored]) -> dict[str, Interval | None]:
    return {
        measure.name: measure.of(scored)
        for measure in MEASURES
        if measure.name in BY_INTENT
    }


def _counted(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}
