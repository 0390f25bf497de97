"""The suite: the same samples put to each generator, scored, and judged by the gates."""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from evals import override, runner, samples
from evals.answers import Answer, Journal, Mode, Params, Subject
from evals.gates import GateFile
from evals.judging import judge
from evals.measures import MEASURES, summed
from evals.override import Control
from evals.result import Arm, Origin, SuiteResult
from evals.samples import Sample

GENERATORS: Final = ("base", "lora", "lora_pref")
REFERENCE: Final = "base"
"""The generator that the others are compared with; it is not judged."""

HARDLY: Final = 0.5
"""Adherence below which the base in free decoding is no baseline for tokens: what is
left of its answers are the easy ones. Its constrained answers are taken instead."""

ANSWERS: Final = "answers.jsonl"


class Budget(msgspec.Struct, frozen=True):
    """What a run may cost; None is no limit."""

    minutes: float | None = None
    tokens: int | None = None
    """Of prompts and answers together; answers from the journal cost nothing."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be asked, of whom, and by what it is judged."""

    samples: tuple[Sample, ...]
    gates: GateFile
    tenant: str
    params: Params
    generators: tuple[str, ...] = GENERATORS
    concurrency: int = 8
    budget: Budget = Budget()
    fresh: bool = False
    """Ask again what is recorded."""

    @property
    def run(self) -> str:
        """Name of the run: the same questions by the same gates have the same."""
        digest = samples.digest(self.samples)
        parts = (digest, self.gates.digest, self.params, self.generators)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]


class Gateway(Control, Protocol):
    """The control plane, and the question itself."""

    async def ask(self, sample: Sample, subject: Subject, params: Params) -> Answer:
        """Put one sample to the subject."""
        ...


Watch = Callable[[str, int, int], None]
"""Called with (what is asked, done, total)."""


async def run(
    plan: Plan, gateway: Gateway, home: Path, origin: Origin, watch: Watch
) -> SuiteResult:
    """Ask everything that is not recorded under `home` yet, score and judge it.

    Raises:
        RunFailedError: a sample failed twice.
        TargetError: the gateway does not do as it should.
        SetupError: another run holds the tenant or the journal.
    """
    why = f"evals suite, run {plan.run}"
    arms: list[Arm] = []
    baseline: Arm | None = None
    journal = Journal.open(home / ANSWERS, fresh=plan.fresh)
    asking = _Asking(plan, gateway, journal, watch)
    try:
        async with override.borrowed(gateway, plan.tenant, home, why):
            for generator in plan.generators:
                subject = await override.switch(
                    gateway, plan.tenant, plan.params.surface, generator, why
                )
                arms.append(await asking.arm(subject, "free", plan.samples))
                if generator == REFERENCE:
                    baseline = await _baseline(asking, plan, arms[-1])
    finally:
        journal.close()
    judged = tuple(
        judge(plan.gates, each, baseline, plan.samples)
        for each in arms
        if each.subject.generator != REFERENCE
    )
    return SuiteResult(
        run=plan.run,
        origin=origin,
        params=plan.params,
        confidence=plan.gates.confidence,
        samples=plan.samples,
        samples_digest=samples.digest(plan.samples),
        gates_digest=plan.gates.digest,
        arms=tuple(arms),
        baseline=baseline,
        judged=judged,
        notes=(*asking.notes, *_notes(baseline)),
    )


class _Asking:
    """Asks within a budget, and makes arms of what comes back."""

    def __init__(
        self, plan: Plan, gateway: Gateway, journal: Journal, watch: Watch
    ) -> None:
        self._plan = plan
        self._gateway = gateway
        self._journal = journal
        self._watch = watch
        self._begun = time.monotonic()
        self._tokens = 0
        self.notes: list[str] = []

    async def arm(self, subject: Subject, mode: Mode, asked: tuple[Sample, ...]) -> Arm:
        """Ask the samples of a subject, as far as the budget goes."""
        begun = time.monotonic()
        params = msgspec.structs.replace(self._plan.params, mode=mode)
        task = runner.Task(asked, subject, params, self._plan.concurrency)
        recorded: list[int] = []

        def watch(done: int, total: int) -> None:
            recorded.append(done)
            self._watch(name, done, total)

        name = subject.generator if mode == "free" else f"{subject.generator} ({mode})"
        answered = await runner.run(
            task,
            self._ask,
            self._journal,
            watch,
            self._may,
        )
        if unasked := len(asked) - len(answered):
            self.notes.append(
                f"the budget ended the run: {unasked} of {len(asked)} samples were not"
                f" put to {name}"
            )
        made = scored(subject, mode, asked, answered, time.monotonic() - begun)
        return msgspec.structs.replace(made, recorded=recorded[0])

    async def _ask(self, sample: Sample, subject: Subject, params: Params) -> Answer:
        answer = await self._gateway.ask(sample, subject, params)
        self._tokens += (answer.prompt_tokens or 0) + (answer.completion_tokens or 0)
        return answer

    def _may(self) -> bool:
        budget = self._plan.budget
        minutes = (time.monotonic() - self._begun) / 60
        return (budget.minutes is None or minutes < budget.minutes) and (
            budget.tokens is None or self._tokens < budget.tokens
        )


def scored(
    subject: Subject,
    mode: Mode,
    asked: tuple[Sample, ...],
    answered: Mapping[str, Answer],
    seconds: float,
) -> Arm:
    """Score answers by every measure; samples without an answer count for none."""
    pairs = [(s, answered[s.id]) for s in asked if s.id in answered]
    units = {sample.id: sample.unit for sample in asked}
    scores = {measure.name: measure.scores(pairs) for measure in MEASURES}
    return Arm(
        subject=subject,
        mode=mode,
        answers=dict(answered),
        scores=scores,
        summary={m.name: summed(m.kind, scores[m.name], units) for m in MEASURES},
        seconds=round(seconds, 1),
    )


async def _baseline(asking: _Asking, plan: Plan, free: Arm) -> Arm | None:
    tasks = {
        task
        for gate in plan.gates.gates.values()
        if gate.ratio is not None
        for task in gate.tasks
    }
    asked = tuple(sample for sample in plan.samples if sample.task in tasks)
    adhering = free.scores["adherence"]
    seen = [adhering[sample.id] for sample in asked if sample.id in adhering]
    if not seen:
        return None
    if sum(seen) / len(seen) >= HARDLY:
        return free
    return await asking.arm(free.subject, "constrained", asked)


def _notes(baseline: Arm | None) -> tuple[str, ...]:
    if baseline is None or baseline.mode == "free":
        return ()
    why = (
        "in free decoding the base is hardly ever valid, so its constrained answers are"
    )
    return (f"{why} the baseline of tokens",)
