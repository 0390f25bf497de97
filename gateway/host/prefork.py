"""Several workers of one gateway: forked from one process, and forked again if they die.

The parent binds the listeners before the first worker is born and does nothing but
watch: connections wait in the kernel's queue for whichever worker is free, and for a
control plane whose worker is just being replaced. It holds no thread, no loop and no
store, so what it forks is clean however often it does.
"""

import contextlib
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway.host.child import describe_exit, tied_to_parent
from gateway.host.policy import Backoff, Event, State, step
from gateway.place import Place

USAGE: Final = 2
"""What a worker ends with whose configuration is no use: another try would be none."""

BACKOFF: Final = Backoff(pauses=(0.0, 0.5, 1.0, 2.0, 4.0), healthy_after=10.0)
"""A worker is wanted back at once, the first time."""

_BACKLOG: Final = 2048
_LONGEST_PATH: Final = 70
_TICK: Final = 1.0
_LATE: Final = 10.0
"""Seconds on top of a worker's own grace before it is killed."""
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})

Work = Callable[[Place], int]
"""A worker's life, from its place to its exit code."""


class Worker:
    """One worker, in the states of `gateway.host.policy`."""

    def __init__(self, place: Place, work: Work) -> None:
        self.place = place
        self.pid = 0
        self.state = State.WAITING
        self._work = work
        self._deaths = 0
        self._started = 0.0
        self.deadline = 0.0

    def start_if_due(self, now: float) -> None:
        """Fork when it waits and its pause is over."""
        if self.state is not State.WAITING or now < self.deadline:
            return
        self.state = step(self.state, Event.DUE)
        self._started = now
        tie = tied_to_parent()
        self.pid = os.fork()
        if not self.pid:
            os._exit(_lived(self.place, self._work, tie))

    def ended(self, code: int, now: float) -> None:
        """Its process has ended with this code, as subprocess gives it."""
        stopping = self.state is State.STOPPING
        self.state, self.pid = step(self.state, Event.EXITED), 0
        if stopping:
            return
        self._deaths = BACKOFF.deaths(self._deaths, now - self._started)
        pause = BACKOFF.pause(self._deaths)
        self.deadline = now + pause
        again = f"again in {pause:g} s" if pause else "again now"
        sys.stderr.write(
            f"wastegate: worker {self.place.index}: {describe_exit(code)}; {again}\n"
        )

    def stop(self, now: float, grace: float) -> None:
        """Ask it to end, once; after `grace` seconds it is killed."""
        if self.state is State.STOPPING:
            if now >= self.deadline:
                self._signal(signal.SIGKILL)
            return
        self.state = step(self.state, Event.STOP)
        self.deadline = now + grace
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def run(
    addresses: tuple[str, str], count: int, work: Work, *, grace: float = 60.0
) -> int:
    """Run `count` workers until SIGINT or SIGTERM; the exit code.

    Args:
        addresses: `host:port` of the data plane and of the control plane.
        count: how many workers.
        work: what each is.
        grace: seconds that a worker takes to end at most.
    """
    listeners: list[socket.socket] = []
    for address in addresses:
        try:
            listeners.append(_listening(address))
        except OSError as error:
            sys.stderr.write(f"wastegate: cannot listen on {address}: {error}\n")
            return 1
    directory = Path(tempfile.mkdtemp(prefix="wastegate-", dir=_meeting_place()))
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    # What is there by now is shared by the workers as long as nobody writes to it.
    gc.freeze()
    data, control = listeners
    workers = [
        Worker(Place(index, count, directory, data, control), work)
        for index in range(count)
    ]
    try:
        return _watch(workers, listeners, grace + _LATE)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _watch(
    workers: Sequence[Worker], listeners: Sequence[socket.socket], grace: float
) -> int:
    code, stopping = 0, False
    while True:
        now = time.monotonic()
        for worker, ended in _ended(workers):
            worker.ended(ended, now)
            if ended == USAGE and not stopping:
                code, stopping = USAGE, True
        if stopping:
            _stop(workers, listeners, now, grace)
        else:
            for worker in workers:
                worker.start_if_due(now)
        if all(worker.state is State.STOPPED for worker in workers):
            return code
        due = [w.deadline - now for w in workers if w.state is State.WAITING]
        heard = signal.sigtimedwait(_SIGNALS, max(0.0, min([_TICK, *due])))
        stopping |= heard is not None and heard.si_signo != signal.SIGCHLD


def _stop(
    workers: Sequence[Worker],
    listeners: Sequence[socket.socket],
    now: float,
    grace: float,
) -> None:
    # Nobody may queue here any more once the workers have closed theirs.
    for listener in listeners:
        listener.close()
    for worker in workers:
        worker.stop(now, grace)


def _ended(workers: Sequence[Worker]) -> list[tuple[Worker, int]]:
    found: list[tuple[Worker, int]] = []
    for worker in workers:
        if worker.pid:
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                found.append((worker, os.waitstatus_to_exitcode(status)))
    return found


def _lived(place: Place, work: Work, tie: Callable[[], None]) -> int:
    """Be a worker, in the forked process; nothing may get out of it."""
    try:
        tie()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return work(place)
    except BaseException:  # noqa: BLE001 -- the parent's stack is below, and not ours
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _meeting_place() -> str:
    """Where the workers' directory goes: a socket's path has 107 bytes."""
    given = tempfile.gettempdir()
    return given if len(os.fsencode(given)) <= _LONGEST_PATH else "/tmp"  # noqa: S108 -- mkdtemp makes a private directory in it


def _listening(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is accepted inherits it; an answer must not wait for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, int(port)))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(str(error)) from error
    return listener
