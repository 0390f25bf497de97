"""What a step of the plan does on a replica, and what comes of it in the table."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from adapters.errors import AdapterError, PreflightError
from adapters.golden import Golden, Looks, disagreement
from adapters.lifecycle import Event, State
from adapters.manifest import Manifest
from adapters.plan import Action, Step
from adapters.preflight import refuse_by
from adapters.reads import Read
from adapters.refs import AdapterRef
from adapters.registry import Registered, Registry
from adapters.signature import check_signature
from gateway.control.proof import (
    DEFAULT_PROBES,
    FINGERPRINT,
    Proof,
    pin,
    prove,
    tells,
)
from gateway.engine.port import Replica
from gateway.errors import AdapterUnavailable, GatewayError, UpstreamTimeout
from gateway.fleet import Fleet
from gateway.member import Member, Slot

_FIRST_RETRY: Final = 5.0
_LAST_RETRY: Final = 60.0
"""Seconds between two loads of an adapter that a replica refused; doubles."""


_HELD: Final = frozenset({State.FAILED, State.QUARANTINED})
"""States that a person's word ends at once."""


class Demands(msgspec.Struct, frozen=True):
    """What an adapter has to meet before a replica hears of it.

    Args:
        base_ref: the base that is served; adapters of another are unfit.
        public_key: PEM of the key that has to have signed it; none demands nothing.
    """

    base_ref: str
    public_key: Path | None = None

    def check(self, found: Registered) -> None:
        """Check an adapter in the registry; its files do not change any more.

        Raises:
            NotServable: it says of itself that it cannot be served.
            PreflightError: it does not meet them.
        """
        refuse_by(found.manifest)
        base = found.manifest.base.ref
        if base != self.base_ref:
            raise PreflightError([f"made for {base}; {self.base_ref} is served"])
        if self.public_key is not None:
            check_signature(found.path, self.public_key)


class Actions:
    """Carries out steps.

    Args:
        fleet: what is ready where.
        registry: where adapters lie; read in a thread.
        demands: what they have to meet.
    """

    def __init__(self, fleet: Fleet, registry: Registry, demands: Demands) -> None:
        self._fleet = fleet
        self._registry = registry
        self._demands = demands
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}
        """How often in a row a load was refused, and when to try again."""
        self._proofs: dict[str, tuple[str, Looks]] = {}
        """By adapter what was said first, and on which replica, to the probes for which
        its manifest has no golden values."""
        self._carry: Mapping[
            Action, Callable[[Member, Slot, AdapterRef], Awaitable[None]]
        ] = {
            Action.STAGE: self._stage,
            Action.LOAD: self._load,
            Action.WARM: self._warm,
            Action.PIN: self._pin,
            Action.UNLOAD: self._unload,
            Action.LOOK_UP: self._look_up,
            Action.DRAIN: self._nothing,
            Action.RESUME: self._nothing,
        }

    async def carry(self, member: Member, step: Step) -> None:
        """Do one step on one replica.

        Raises:
            TransitionError: the table has no row for it, a defect of ours.
        """
        slot = member.slot(step.ref)
        if step.begins is not None:
            slot.take(step.begins, slot.reason)
        await self._carry[step.action](member, slot, step.ref)

    def due(self, member: Member) -> list[AdapterRef]:
        """Name the adapters that a replica has refused and may be asked for again."""
        now = time.monotonic()
        return [
            AdapterRef(ref)
            for ref, slot in member.slots.items()
            if slot.state is State.FAILED
            and self._failures.get((member.replica.url, ref), (0, 0.0))[1] <= now
        ]

    def forgive(self, ref: str) -> None:
        """Begin anew with an adapter that is held somewhere, as a person has asked."""
        for member in self._fleet.members:
            slot = member.slots.get(ref)
            if slot is not None and slot.state in _HELD:
                slot.take(Event.RELEASED, "asked for again")
                self._failures.pop((member.replica.url, ref), None)
                self._proofs.pop(ref, None)
                member.proven.discard(ref)

    async def _stage(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        try:
            found = await asyncio.to_thread(self._registry.verify, ref)
            await asyncio.to_thread(self._demands.check, found)
        except (AdapterError, OSError) as error:
            slot.take(Event.UNFIT, str(error))
            return
        slot.answers = False
        slot.take(Event.PREPARED)
        member.woken.set()

    async def _load(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        key = (member.replica.url, str(ref))
        try:
            found = await self._noted(member, ref)
            await member.replica.load(str(ref), found.path)
        except UpstreamTimeout as error:
            slot.take(Event.UNCLEAR, error.message)
        except (GatewayError, AdapterError, OSError) as error:
            times = self._failures.get(key, (0, 0.0))[0]
            wait = min(_LAST_RETRY, _FIRST_RETRY * 2**times)
            self._failures[key] = (times + 1, time.monotonic() + wait)
            member.ghosts += 1
            slot.take(Event.LOAD_REFUSED, f"{error}; again in {wait:g} s")
        else:
            self._failures.pop(key, None)
            slot.take(Event.LOAD_DONE)
            member.woken.set()

    async def _warm(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        try:
            # Noted again: it may have been loaded before this process was there, or
            # by an engine that had just started anew, unseen.
            manifest = (await self._noted(member, ref)).manifest
            proof = await prove(
                member.replica,
                base=self._fleet.base_name,
                adapter=str(ref),
                probes=self._probes(member, manifest),
            )
        except (GatewayError, OSError) as error:
            slot.take(Event.UNCLEAR, str(error))
            return
        except AdapterError as error:
            slot.take(Event.DISPROVEN, str(error))
            return
        otherwise = self._otherwise(member, manifest, proof) if proof.differs else ""
        slot.worked = member.ghosts
        proven = proof.differs and not otherwise
        if proven:
            member.proven.add(str(ref))
        slot.take(
            Event.PROVEN if proven else Event.DISPROVEN, otherwise or proof.detail
        )

    def _probes(self, member: Member, manifest: Manifest) -> tuple[str, ...]:
        """What to ask: everything, or one short thing if a replica has proved it before.

        In one boot, the same bytes under the same path are as they were; one look tells
        whether they are in effect, and all of them would keep the base waiting for
        longer. It has to be one that told the adapter from the base the first time.
        """
        ref = str(manifest.ref)
        if ref in member.proven and ref in self._proofs:
            known = _golden(manifest) | dict(self._proofs[ref][1])
            return (min((each for each in known if tells(known[each])), key=len),)
        return tuple(dict.fromkeys((*(manifest.probes or DEFAULT_PROBES), FINGERPRINT)))

    def _otherwise(self, member: Member, manifest: Manifest, proof: Proof) -> str:
        """How a proof contradicts the golden values, or the first one, wherever it was."""
        golden = _golden(manifest)
        if why := disagreement(golden, proof.said):
            return f"{why} when it was made: another base, or other bytes"
        ref = str(manifest.ref)
        said = {
            probe: pair for probe, pair in proof.said.items() if probe not in golden
        }
        where, first = self._proofs.setdefault(ref, (member.replica.url, said))
        if why := disagreement(first, said):
            return (
                f"{why} on {where}: another base, or other bytes, on one of the two;"
                f" `wastegate adapter mount {ref}` begins anew"
            )
        return ""

    async def _pin(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        try:
            await pin(member.replica, str(ref))
        except GatewayError as error:
            # If the name is gone, the next look at the list says so.
            slot.reason = f"not pinned: {error.message}"
        else:
            slot.worked = member.ghosts

    async def _unload(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        replica = member.replica
        try:
            await replica.unload(str(ref))
            look = await replica.observe()
            slot.answers = await _answers(replica, ref)
        except GatewayError as error:
            slot.take(Event.UNCLEAR, error.message)
            return
        if ref in look.models or not look.alive:
            slot.take(Event.UNCLEAR, "still listed after the unload, or not seen")
            return
        member.observed = look
        member.ghosts += 1
        reason = "off the list, but the name still answers: restart the replica"
        slot.take(Event.UNLOADED, reason if slot.answers else "")

    async def _look_up(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        slot.take(
            Event.SEEN if ref in member.observed.models else Event.NOT_SEEN,
            slot.reason,
        )
        member.woken.set()

    async def _nothing(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        """Draining and resuming are states, not work; look again without delay."""
        member.woken.set()

    async def _noted(self, member: Member, ref: AdapterRef) -> Registered:
        read = Read(member.replica.url, member.observed.boot_epoch)
        return await asyncio.to_thread(self._registry.about_to_read, ref, read)


def _golden(manifest: Manifest) -> dict[str, Golden]:
    """What was said when the adapter was made, by probe; of most, nothing."""
    if not manifest.golden:
        return {}
    return dict(zip(manifest.probes, manifest.golden, strict=True))


async def _answers(replica: Replica, ref: AdapterRef) -> bool:
    """Whether an unloaded name still gets an answer from an engine."""
    try:
        await pin(replica, str(ref))
    except AdapterUnavailable:
        return False
    return True
