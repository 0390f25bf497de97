"""Outputs and feedback on their way to the disk, which no request waits for.

A request's end hands over one value; a bounded queue takes it or drops it. One task
scrubs and writes, in a thread. Whatever becomes of a line is counted.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final, Protocol

import msgspec

from gateway.keep.files import Files
from gateway.keep.limits import KeepLimits
from gateway.keep.recent import Recent, Seen
from gateway.keep.record import is_flawed, new_id, output_of, stamp
from gateway.pipeline.trace import Trace
from structured.errors import ScrubError
from structured.kept import Feedback, Rating, encode, scrubbed

_LOG: Final = logging.getLogger("wastegate")

BATCH: Final = 32
"""Records that are written before the outcome is counted."""

IDLE_SECONDS: Final = 60.0
"""How often what is too old is looked for while nothing comes."""

LAST_SECONDS: Final = 10.0
"""How long the end of the program waits for the disk."""


class Counts(Protocol):
    """What becomes of the lines; see `gateway.telemetry.kept`."""

    def kept(self, outcome: str, lines: int = 1) -> None:
        """Count lines by outcome."""
        ...

    def feedback(self, feedback: Feedback) -> None:
        """Count what a client has said."""
        ...


class Said(msgspec.Struct, frozen=True):
    """What a client says of an answer; the correction has been checked."""

    rating: Rating
    comment: str | None = None
    correction: object = None


class _Record(msgspec.Struct, frozen=True):
    seen: Seen
    """Its output is written unless it is in a file already; then it only lends its
    placeholders."""
    feedback: Feedback | None = None

    def lines(self, *, written: bool) -> int:
        """How many there are to write; whether the output counts as written."""
        wanted = self.seen.output is not None and not written
        return wanted + (self.feedback is not None)


class Keeper:
    """Keeps what the tenants have opted in to."""

    def __init__(
        self,
        limits: KeepLimits,
        files: Files,
        counts: Counts,
        *,
        now: Callable[[], float],
    ) -> None:
        """Touch nothing yet.

        Args:
            limits: of the queue, the records and the feedback.
            files: where lines go.
            counts: told what becomes of them.
            now: the wall clock, in seconds since the epoch.
        """
        self._limits = limits
        self._files = files
        self._counts = counts
        self._now = now
        self._recent = Recent(limits)
        self._queue: deque[_Record] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._failing = False

    @property
    def record_bytes(self) -> int:
        """Longest record that is kept."""
        return self._limits.record_bytes

    def finished(self, trace: Trace, body_bytes: int) -> None:
        """Take what a request has left behind. Never waits, never raises.

        Args:
            trace: of a request that is over.
            body_bytes: the length of the request's body.
        """
        call = trace.call
        if call is None or call.tenant.keep == "none" or not trace.generator:
            return
        at = self._now()
        output = output_of(trace, call, at)
        size = 0
        if output is not None:
            size = body_bytes + sum(len(each.said) for each in trace.attempts)
            if size > self._limits.record_bytes:
                self._counts.kept("too_large")
                output, size = None, 0
        seen = Seen(
            request_id=trace.request_id,
            at=at,
            tenant=trace.tenant,
            surface=trace.surface,
            generator=trace.generator,
            model=trace.model,
            schema=call.schema,
            context_ids=call.context_ids,
            output=output,
            size=size,
        )
        if output is not None and (call.tenant.keep == "all" or is_flawed(trace)):
            self._offer(_Record(seen))
        self._recent.add(seen)

    def seen(self, tenant: str, request_id: str) -> Seen | None:
        """A tenant's recent request."""
        return self._recent.find(tenant, request_id, self._now())

    def feedback(self, seen: Seen, said: Said) -> str | None:
        """Take feedback on a request, and its output with it if no file has it.

        Returns:
            The feedback's id; None if the queue is full and it was dropped.
        """
        output = seen.output
        feedback = Feedback(
            id=new_id("fb"),
            at=stamp(self._now()),
            request_id=seen.request_id,
            of=None if output is None else output.id,
            tenant=seen.tenant,
            surface=seen.surface,
            generator=seen.generator,
            model=seen.model,
            rating=said.rating,
            comment=said.comment,
            correction=said.correction,
        )
        if not self._offer(_Record(seen, feedback)):
            return None
        self._counts.feedback(feedback)
        return feedback.id

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Write until the block ends, and then what is left."""
        self._closing = False
        task = asyncio.get_running_loop().create_task(self._run())
        task.add_done_callback(_ended)
        try:
            yield
        finally:
            self._closing = True
            self._wake.set()
            await asyncio.wait((task,), timeout=LAST_SECONDS)
            if not task.done():
                task.cancel()
                _LOG.error("the disk does not answer; %d left", len(self._queue))

    def _offer(self, record: _Record) -> bool:
        if len(self._queue) >= self._limits.queue:
            self._counts.kept("dropped", record.lines(written=record.seen.handed))
            return False
        self._queue.append(record)
        record.seen.handed = True
        self._wake.set()
        return True

    async def _run(self) -> None:
        while self._queue or not self._closing:
            self._wake.clear()
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            if not self._queue:
                self._recent.forget(self._now() - self._limits.feedback_seconds)
            outcomes = await asyncio.to_thread(self._written, batch)
            for outcome, lines in outcomes.items():
                self._counts.kept(outcome, lines)
            if not self._queue and not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._wake.wait()
        await asyncio.to_thread(self._files.close)

    def _written(self, batch: Iterable[_Record]) -> Counter[str]:
        """Scrub and write, in a thread; how many lines have come to what."""
        outcomes: Counter[str] = Counter()
        self._on_disk(self._files.tidy)
        for record in batch:
            lines = record.lines(written=record.seen.kept)
            outcomes[self._keep(record)] += lines
        return outcomes

    def _keep(self, record: _Record) -> str:
        seen = record.seen
        try:
            output, feedback = scrubbed(seen.output, record.feedback)
            lines = (None if seen.kept else output, feedback)
            data = b"".join(encode(line) for line in lines if line is not None)
        except ScrubError:
            return "unscrubbed"
        except Exception:  # noqa: BLE001 -- a defect of ours costs this record alone
            _LOG.exception("an output could not be scrubbed")
            return "failed"
        if len(data) > self._limits.file_bytes:
            return "too_large"
        if not self._on_disk(lambda: self._files.append(data)):
            return "failed"
        seen.kept = output is not None
        if self._failing:
            _LOG.warning("outputs are kept again")
        self._failing = False
        return "kept"

    def _on_disk(self, step: Callable[[], None]) -> bool:
        """Do a step; say that the disk fails, once, until a line is kept again."""
        try:
            step()
        except OSError as error:
            if not self._failing:
                _LOG.error("outputs cannot be kept: %s", error)
            self._failing = True
            return False
        return True


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.critical("outputs are no longer kept", exc_info=error)
