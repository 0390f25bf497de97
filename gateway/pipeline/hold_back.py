"""A checked answer that goes out while it is written, except for its end.

From the root's closing bracket on, everything is held back until the whole has passed,
so that a client never has a complete JSON text that did not. Nothing goes out before
the root's opening bracket has come first; an answer that begins otherwise is gathered
and takes the way of `gateway.pipeline.answer`, with repair and second questions. A text
that cannot become valid is read on only where a repair could still mend it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from gateway.errors import UpstreamTimeout
from gateway.member import Lease
from gateway.pipeline.answer import (
    Answer,
    accepted,
    checked,
    first_question,
    refusal,
    settle,
)
from gateway.pipeline.call import Call
from gateway.pipeline.generate import Piece, gathered, pieces
from gateway.pipeline.route import ELSEWHERE, Router
from gateway.pipeline.trace import Attempt, Trace
from structured.outcome import Accepted, Rejected
from structured.viable import Viable

_MENDABLE: Final = frozenset({"syntax", "schema"})
"""Faults after which `structured.check` would look at a repair."""


def may_go_live(call: Call) -> bool:
    """Whether a call's stream can go out while it is written.

    Not where citations are decoded by alias: they are mapped back at the end.
    """
    return (
        call.stream
        and call.surface.stream == "live"
        and call.schema is not None
        and not (call.constrained and call.given is not None)
    )


async def live(
    router: Router, call: Call, trace: Trace
) -> AsyncGenerator[str | Answer]:
    """Yield text as it may go out, and the answer at the end.

    If no text came before the answer, none has gone out: the answer is all there is.

    Raises:
        OutputInvalid: also in the middle, when what has gone out cannot become valid.
        OutputTruncated: likewise.
        GatewayError: whatever routing and the engine raise.
    """
    tries, begun = 2, False
    while tries:
        tries -= 1
        try:
            with router.lease(call, trace) as lease:
                async with aclosing(_leased(lease, call, trace)) as parts:
                    async for part in parts:
                        begun = True
                        yield part
        except ELSEWHERE:
            # Once more, if it was the engine that did not know the adapter or is gone.
            if begun or not tries or trace.upstream == 0.0:
                raise
            trace.again()
        else:
            return


async def _leased(
    lease: Lease, call: Call, trace: Trace
) -> AsyncGenerator[str | Answer]:
    gate = _Gate(call)
    asked = first_question(call)
    parts: list[Piece] = []
    async with aclosing(pieces(lease, call, trace, asked)) as coming:
        async for piece in _in_time(coming, call, trace):
            parts.append(piece)
            text = gate.take(piece.text)
            if text:
                yield text
            if gate.fault is not None:
                break
    output = gathered(parts, asked)
    if gate.fault is None:
        first = await checked(call, trace, "first", output, repair=not gate.begun)
    else:
        first = Attempt("first", output.content, gate.fault)
        trace.attempts.append(first)
    if not gate.begun:
        yield await settle(lease, call, trace, asked, first)
        return
    if not isinstance(first.outcome, Accepted):
        raise refusal(call, trace, first)
    yield gate.rest()
    yield accepted(call, trace, "first", first.outcome)


async def _in_time(
    coming: AsyncGenerator[Piece], call: Call, trace: Trace
) -> AsyncGenerator[Piece]:
    """Yield pieces until the request's time is over."""
    while True:
        left = trace.started + call.seconds - time.perf_counter()
        limit = asyncio.timeout(left)
        try:
            async with limit:
                piece = await anext(coming, None)
        except TimeoutError as error:
            if limit.expired():
                message = f"the request's time is over ({call.seconds:g} s)"
                raise UpstreamTimeout(message) from error
            raise
        if piece is None:
            return
        yield piece


class _Gate:
    """What may go out of a text in the making, and what is held."""

    def __init__(self, call: Call) -> None:
        self._viable = Viable(True if call.schema is None else call.schema.guide)
        self._repairs = call.surface.repair and not call.constrained
        self._held: list[str] = []
        self._size = 0
        self._given_up = False
        self.fault: Rejected | None = None
        """Why the text is not worth going on with."""

    @property
    def begun(self) -> bool:
        """Whether anything may have gone out."""
        return self._size > 0

    def take(self, text: str) -> str:
        """Take the next piece; the text that may go out now."""
        if self._given_up:
            return ""
        self._held.append(text)
        viable = self._viable
        fault = viable.feed(text)
        if fault is not None:
            # Nothing has gone out: the whole text may still be repaired.
            self._given_up = (
                not self.begun and self._repairs and fault.code in _MENDABLE
            )
            if not self._given_up:
                self.fault = Rejected("live", fault.code, fault.path, fault.message)
            return ""
        if not viable.opened or viable.closing == self._size:
            return ""
        held = "".join(self._held)
        end = len(held) if viable.closing is None else viable.closing - self._size
        self._size += end
        self._held = [held[end:]]
        return held[:end]

    def rest(self) -> str:
        """What was held back, now that the whole has passed."""
        return "".join(self._held)
