"""Asking a target that is named, whatever the flag says: for questions of our own."""

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.errors import OutputInvalid, OutputTruncated
from gateway.pipeline.answer import answer
from gateway.pipeline.call import Call, Sampling, Surface, Tenant
from gateway.pipeline.route import Router
from gateway.pipeline.trace import Trace
from routing.decision import Decision
from routing.rules import Target
from structured.parse import parse
from structured.prompt import AssistInput, render

ASKED_BY: Final = "wastegate"


class Pinned(Router, frozen=True):
    """A router whose decision is made."""

    target: Target = Target()

    def _decided(self, call: Call) -> Decision:
        del call
        target = self.target
        return Decision(
            target.generator, "STATIC", "rollout", None, 0, model=target.model
        )

    def _may(self, call: Call, ref: str) -> bool:
        """Our own questions may be asked of everything."""
        return True


class Asker(msgspec.Struct, frozen=True):
    """Asks targets.

    Args:
        router: whose fleet answers.
        surfaces: how they check, by name.
        max_tokens: of an answer.
        seconds: that an answer may take.
    """

    router: Router
    surfaces: Mapping[str, Surface]
    max_tokens: int
    seconds: float

    async def __call__(
        self, surface: str, target: Target, given: AssistInput
    ) -> object:
        """Return what a target answers, checked as for a client; None if it was refused.

        It is nobody's request: no tenant's limits, no metric and no log know of it.

        Raises:
            GatewayError: the engine is away, full, or does not know the target.
        """
        base = self.router
        router = Pinned(base.live, base.fleet, base.base_ref, target=target)
        asked_by = Tenant(ASKED_BY, frozenset(), "none", cache_salt=ASKED_BY)
        on = self.surfaces[surface]
        call = Call(
            request_id=ASKED_BY,
            tenant=asked_by,
            surface=on,
            messages=render(given),
            sampling=Sampling(max_tokens=self.max_tokens, temperature=0.0),
            unit=None,
            schema=on.schema,
            constrained=on.mode == "constrained",
            given=given,
            seconds=self.seconds,
        )
        try:
            found = await answer(router, call, Trace(ASKED_BY))
        except (OutputInvalid, OutputTruncated):
            return None
        return parse(found.content)
