"""The supervisor: one process, one thread, one loop over its children.

It starts what a plan names, starts it again when it dies, and ends it in reverse
order when it is told to. Two rules:

1. Whatever happens in the loop is a change of state in `policy.TRANSITIONS`.
2. Whoever starts a supervisor holds a lease on it (the other end of a pipe) until
   the stack is seen ready. A lease that ends without a word, because its holder was
   interrupted or killed, ends the stack: a half-started one is never left behind.
"""

import contextlib
import fcntl
import os
import secrets
import select
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Final

from gateway.host import process, status
from gateway.host.child import Child, clock
from gateway.host.errors import MissingPieceError, StackBusyError
from gateway.host.layout import Layout
from gateway.host.policy import Backoff, State

KEEP: Final = b"K"
"""The word on the lease that says: the stack is ready, keep it."""

_TICK: Final = 1.0
_HURRIED: Final = 10.0
_LOCK_PATIENCE: Final = 3.0


class Supervisor:
    """Runs a plan until it is told to stop.

    Args:
        layout: where the status file is.
        plan: what to run.
        backoff: the pauses between restarts.
    """

    def __init__(self, layout: Layout, plan: status.Plan, backoff: Backoff) -> None:
        me = process.identify(os.getpid())
        if me is None:
            raise MissingPieceError(
                "/proc shows nothing of this process", "mount /proc"
            )
        self._layout = layout
        self._plan = plan
        self._me = me
        self._token = secrets.token_hex(16)
        token = {status.STACK_VARIABLE: self._token}
        self._children = [Child(spec, backoff, token) for spec in plan.children]
        self._committed = False
        self._stops = 0
        self._hurry = False
        self._written: status.Status | None = None

    def request_stop(self) -> None:
        """Begin to stop; asked for a second time, with short graces."""
        self._stops += 1
        self._hurry = self._hurry or self._stops > 1

    def keep(self) -> None:
        """The stack is ready: it no longer depends on who started it."""
        self._committed = True

    def abandon(self) -> None:
        """The one who started the stack has gone: nothing is in flight, be quick."""
        self._hurry = True
        self.request_stop()

    def turn(self, now: float) -> bool:
        """Do what is due.

        Args:
            now: a reading of the monotonic clock.

        Returns:
            False when everything has stopped.
        """
        for child in self._children:
            child.reap(now)
            child.forgive(now)
        if self._stops:
            self._stop_in_order(now)
        else:
            for child in self._children:
                child.start_if_due(now)
        self._publish()
        return any(child.state is not State.STOPPED for child in self._children)

    def _stop_in_order(self, now: float) -> None:
        for child in reversed(self._children):
            grace = min(child.spec.grace, _HURRIED) if self._hurry else child.spec.grace
            child.stop(now, grace)
            child.kill_if_late(now)
            if child.state is State.STOPPING:
                return  # the next one ends after this one

    def wait_for(self, now: float) -> float:
        """Seconds until something may be due."""
        deadlines = [
            child.deadline - now
            for child in self._children
            if child.state in {State.WAITING, State.STOPPING}
        ]
        return max(0.0, min([_TICK, *deadlines]))

    def _publish(self) -> None:
        seen = status.Status(
            supervisor=self._me,
            token=self._token,
            digest=self._plan.digest,
            committed=self._committed,
            stopping=bool(self._stops),
            children=tuple(child.status() for child in self._children),
        )
        if seen != self._written:
            status.write(self._layout.status, seen)
            self._written = seen

    def announce(self) -> None:
        """Publish before the first child is born, so that none is ever unknown."""
        self._publish()


@contextlib.contextmanager
def only_one(layout: Layout) -> Generator[None]:
    """Hold the directory's supervisor lock; the kernel frees it at any death.

    Raises:
        StackBusyError: another supervisor holds it.
    """
    descriptor = os.open(layout.supervisor_lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(descriptor)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    limit = clock() + _LOCK_PATIENCE  # whoever merely looks at it holds it for a moment
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock() > limit:
                raise StackBusyError(
                    "another supervisor runs in this directory", "stop it: make down"
                ) from None
            select.select([], [], [], 0.05)
        else:
            return


class _Ears:
    """Signals and the lease as things that one select() can wait for."""

    def __init__(self, supervisor: Supervisor, lease: int | None) -> None:
        self._supervisor = supervisor
        self._lease = lease
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        if lease is None:
            supervisor.keep()
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, self._on_child)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._supervisor.request_stop()

    def _on_child(self, _signum: int, _frame: FrameType | None) -> None:
        """Nothing more than a handler: with one, the wake-up descriptor is written."""

    def listen(self, seconds: float) -> None:
        sources = [self._woken, *([] if self._lease is None else [self._lease])]
        ready, _, _ = select.select(sources, [], [], seconds)
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 512)
        if self._lease is not None and self._lease in ready:
            self._hear_lease(self._lease)

    def _hear_lease(self, lease: int) -> None:
        if os.read(lease, 1) == KEEP:
            self._supervisor.keep()
        else:
            self._supervisor.abandon()
        os.close(lease)
        self._lease = None


def run(root: Path, lease: int | None) -> int:
    """Be the supervisor of the plan under `root` until told to stop.

    Args:
        root: the stack's directory.
        lease: the reading end of the starter's pipe, or None to keep the stack.

    Raises:
        StackBusyError: another supervisor runs there.
    """
    layout = Layout(root)
    with only_one(layout):
        plan = status.read_plan(layout.plan)
        supervisor = Supervisor(layout, plan, Backoff())
        ears = _Ears(supervisor, lease)
        supervisor.announce()
        while supervisor.turn(clock()):
            ears.listen(supervisor.wait_for(clock()))
        layout.status.unlink(missing_ok=True)
    sys.stdout.write("everything has stopped\n")
    return 0
