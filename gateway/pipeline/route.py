"""From a call to a replica: flag, binding, ref, lease, and the reason for each."""

from collections import abc
from collections.abc import Callable
from contextlib import contextmanager
from typing import Final

import msgspec

from gateway.errors import AdapterUnavailable, BadRequest, UpstreamLost
from gateway.fleet import Fleet
from gateway.live import Live
from gateway.member import Lease
from gateway.pipeline.call import Call
from gateway.pipeline.trace import Trace
from routing.decision import Decision, Membership, Query
from routing.errors import PartError
from routing.rules import Generator

FALLBACK: Final = "; fallback=adapter_unavailable"


ELSEWHERE: Final = (AdapterUnavailable, UpstreamLost)
"""Errors after which another replica may answer, if nothing has gone out: it did not
know the adapter, or was lost. Once, so that a request that kills a replica kills two at
most."""

Assigned = Callable[[Membership, str, str], None]
"""Told of a membership, its tenant and its unit."""


class Router(msgspec.Struct, frozen=True):
    """Resolves and leases; awaits nothing and asks no store."""

    live: Live
    fleet: Fleet
    base_ref: str
    """The immutable ref behind the engine's base model name."""
    assigned: Assigned = lambda _member, _tenant, _unit: None
    """Told of each unit that is part of a rollout, before anything is known of how it
    ends; neither blocks nor raises."""

    @contextmanager
    def lease(self, call: Call, trace: Trace) -> abc.Generator[Lease]:
        """Hold a replica for a call; the trace learns who answers and why.

        Raises:
            AdapterUnavailable: the adapter is ready nowhere and the tenant's policy
                allows no fallback.
            UpstreamError: no replica is alive.
            Overloaded: each that could answer is full.
        """
        decision = self._decided(call)
        trace.reason, trace.member = decision.text, decision.member
        if decision.member is not None and call.unit is not None:
            self.assigned(decision.member, call.tenant.name, call.unit)
        try:
            lease = self._leased(call, decision.generator, trace, decision.model)
        except AdapterUnavailable:
            if call.tenant.fallback != "base":
                raise
            trace.reason = decision.text + FALLBACK
            lease = self._leased(call, "base", trace)
        with lease:
            try:
                yield lease
            except AdapterUnavailable:
                # The engine restarted and forgot it. Without this, each request
                # until the next look at the replica would meet the same 404.
                self.fleet.forgotten(lease)
                raise
            except UpstreamLost:
                self.fleet.lost(lease)
                raise

    def _decided(self, call: Call) -> Decision:
        query = Query(call.tenant.name, call.surface.name, call.unit)
        try:
            return self.live.resolve(query)
        except PartError as error:
            raise BadRequest(f"the conversation's id {error.message}") from error

    def _may(self, call: Call, ref: str) -> bool:
        """Whether an adapter is for who asks."""
        return self.fleet.isolation.of(ref).for_tenant(call.tenant.name)

    def _leased(
        self, call: Call, generator: Generator, trace: Trace, model: str | None = None
    ) -> Lease:
        """Lease what a generator means: `model`, or else what it is bound to."""
        trace.generator = generator
        if generator == "base":
            trace.model = self.base_ref
            return self.fleet.lease_base(call.tenant.region, call.conversation)
        present = self.live.present
        ref = model or present.bindings.get(generator)
        if ref is None:
            raise AdapterUnavailable(
                f"{generator} is bound to no adapter; PUT /admin/v1/bindings/{generator}"
            )
        if not self._may(call, ref):
            # Neither the header nor the message names it: its name may name a tenant.
            raise AdapterUnavailable(
                f"{generator} means an adapter that is not for {call.tenant.name}"
            )
        trace.model = ref
        if ref not in present.mounted:
            raise AdapterUnavailable(
                f"{ref} is unmounted; `wastegate adapter mount {ref}` brings it back"
            )
        return self.fleet.lease(ref, call.tenant.region, call.conversation)
