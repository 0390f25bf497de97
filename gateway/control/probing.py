"""Labelled questions that a rollout's candidate is asked at each step.

Whether it refuses what it should, and cites what it should, no traffic can tell: nobody
knows the right answer there. The same question gets the same answer, so each counts
once in a rollout: every step brings its own share of them, and more evidence needs more
questions.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, cast

import msgspec

from gateway.errors import GatewayError
from gateway.live import Live
from routing.errors import StoreError
from routing.rollout import Rollout
from routing.rules import Target
from routing.tallies import Counted, Tallies, unit_digest
from routing.tally import Outcome
from structured.prompt import AssistInput

_LOG: Final = logging.getLogger("wastegate")

STAGE: Final = 1
"""What all of them are counted under, the first step: a question that another process
has asked at an earlier step is no second trial."""

PAUSE_SECONDS: Final = 1.0
"""Between two questions: one at a time, so that they take no client's place."""


class Expected(msgspec.Struct, frozen=True):
    """What the right answer has; other members of it are not compared."""

    status: str
    citations: frozenset[str] = frozenset()


class Probe(msgspec.Struct, frozen=True):
    """A question whose right answer is known; a line of the training data is one."""

    id: str
    input: AssistInput
    output: Expected


Ask = Callable[[str, Target, AssistInput], Awaitable[object]]
"""Asks a target on a surface; see `gateway.pipeline.pinned`."""


def scored(probe: Probe, said: object) -> Outcome:
    """Compare an answer, None if there was none, with the right one."""
    answer = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    status, listed = answer.get("status"), answer.get("citations")
    cited = cast("list[object]", listed) if isinstance(listed, list) else []
    refused = probe.output.status == "refused"
    right = sorted(map(str, cited)) == sorted(probe.output.citations)
    return Outcome(
        "probes",
        ok=said is not None,
        refused_well=said is not None and (status == "refused") == refused,
        cited_well=None if refused else said is not None and right,
    )


class Probing:
    """Asks the candidates of the rollouts that run.

    Args:
        live: which rollouts there are.
        tallies: where the answers are counted.
        ask: asks a target.
        probes: by surface.
        mine: whether this process steps rollouts now.
    """

    def __init__(
        self,
        live: Live,
        tallies: Tallies,
        ask: Ask,
        probes: Mapping[str, tuple[Probe, ...]],
        mine: Callable[[], bool],
    ) -> None:
        self._live = live
        self._tallies = tallies
        self._ask = ask
        self._probes = probes
        self._mine = mine
        self._asked: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Ask one question after the other, until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.once()
            except (GatewayError, StoreError) as error:
                _LOG.warning("a probe waits: %s", error)

    async def once(self) -> None:
        """Ask each rollout's candidate its next question.

        Raises:
            GatewayError, StoreError: the engine or the store is away; it is asked again.
        """
        running = tuple(self._live.present.rollouts.values()) if self._mine() else ()
        for rollout in running:
            found = next(self._open(rollout), None)
            if found is not None:
                await self._put(rollout, *found)

    def _open(self, rollout: Rollout) -> Iterator[tuple[str, Probe]]:
        if rollout.phase not in ("canary", "ramp"):
            return
        for surface, probes in self._probes.items():
            if rollout.plan.surfaces and surface not in rollout.plan.surfaces:
                continue
            steps = len(rollout.plan.steps)
            for number, probe in enumerate(probes):
                due = number % steps <= rollout.step
                if due and (rollout.id, probe.id) not in self._asked:
                    yield surface, probe

    async def _put(self, rollout: Rollout, surface: str, probe: Probe) -> None:
        said = await self._ask(surface, rollout.plan.candidate, probe.input)
        unit = unit_digest(surface, probe.id)
        counted = Counted(STAGE, unit, scored(probe, said))
        await self._tallies.count(rollout.id, [counted])
        self._asked.add((rollout.id, probe.id))
