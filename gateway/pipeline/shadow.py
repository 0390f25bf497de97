"""Mirroring: a rollout's candidate is asked what the control has answered.

After the answer has gone, on surfaces that allow it, for a share of the requests, one
at a time. Nobody sees what it says, no tenant's limits know of it, and it is checked by
the same code. What cannot be asked is counted as failed, never as the candidate's fault.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gateway.errors import GatewayError, OutputInvalid, OutputTruncated
from gateway.live import Live
from gateway.pipeline.answer import answer
from gateway.pipeline.call import Call, Tenant
from gateway.pipeline.pinned import ASKED_BY, Pinned
from gateway.pipeline.route import Router
from gateway.pipeline.trace import Trace
from gateway.telemetry.outcome import outcome_of
from gateway.telemetry.record import OK, RequestFinished
from routing.bucketing import bucket
from routing.decision import Membership
from routing.errors import PartError
from routing.rules import Target
from routing.tallies import Counted
from routing.tally import Outcome

_LOG: Final = logging.getLogger("wastegate")

WAITING: Final = 8
"""Requests that wait to be mirrored; further ones are dropped. What a share brings in
beyond that, one worker could not ask anyway."""

Told = Callable[[Literal["scored", "failed", "dropped"]], None]
Count = Callable[[str, Counted], None]
"""Told of a rollout, and what to count for it."""


class Mirrored(msgspec.Struct, frozen=True):
    """A request that the control has answered."""

    member: Membership
    call: Call
    unit: bytes
    target: Target
    control: Outcome


class Shadow:
    """Mirrors requests.

    Args:
        live: which rollouts there are, and how much they mirror.
        router: whose fleet answers.
        count: takes what came of it.
        told: told of each request, for the metrics.
    """

    def __init__(self, live: Live, router: Router, count: Count, told: Told) -> None:
        self._live = live
        self._router = router
        self._count = count
        self._told = told
        self._waiting: asyncio.Queue[Mirrored] = asyncio.Queue(WAITING)

    def offer(self, trace: Trace, record: RequestFinished, unit: bytes) -> None:
        """Take a finished request, if it is to be mirrored. Never waits or raises."""
        found = self._mirrored(trace, record, unit)
        if found is None:
            return
        try:
            self._waiting.put_nowait(found)
        except asyncio.QueueFull:
            self._told("dropped")

    def _mirrored(
        self, trace: Trace, record: RequestFinished, unit: bytes
    ) -> Mirrored | None:
        call, member = trace.call, trace.member
        if call is None or member is None or member.arm != "control":
            return None
        if not call.surface.shadow or call.schema is None:
            return None
        rollout = self._live.present.rollouts.get(member.rollout)
        control = outcome_of("control", record)
        if rollout is None or control is None or control.adherent is None:
            return None
        try:
            drawn = bucket("shadow", rollout.id, record.tenant, record.request_id)
        except PartError:
            return None
        model = rollout.plan.candidate.model
        policy = self._router.fleet.isolation.of(model or "")
        if drawn >= rollout.plan.shadow or not policy.for_tenant(record.tenant):
            return None
        return Mirrored(member, call, unit, rollout.plan.candidate, control)

    async def run(self) -> None:
        """Ask one after the other, until cancelled."""
        while True:
            await self._ask(await self._waiting.get())

    async def _ask(self, each: Mirrored) -> None:
        call = msgspec.structs.replace(
            each.call,
            request_id=ASKED_BY,
            tenant=Tenant(
                ASKED_BY,
                frozenset(),
                "none",
                cache_salt=ASKED_BY,
                region=each.call.tenant.region,
            ),
            stream=False,
        )
        base = self._router
        router = Pinned(base.live, base.fleet, base.base_ref, target=each.target)
        trace, code = Trace(ASKED_BY), OK
        try:
            await answer(router, call, trace)
        except (OutputInvalid, OutputTruncated) as error:
            code = error.code
        except GatewayError as error:
            _LOG.warning("a request was not mirrored: %s", error)
            self._told("failed")
            return
        outcome = outcome_of("shadow", trace.finish(code))
        if outcome is None or outcome.adherent is None:
            self._told("failed")
            return
        alike = outcome.adherent == each.control.adherent
        scored = msgspec.structs.replace(
            outcome, worse=None if alike else not outcome.adherent
        )
        member = each.member
        self._count(
            member.rollout, Counted(member.stage, b"shadow " + each.unit, scored)
        )
        self._told("scored")
