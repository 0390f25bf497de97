"""Start, find and end the supervisor of a directory, and whatever it left behind."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.host import process, status
from gateway.host.errors import StepFailedError
from gateway.host.layout import Layout, write_atomically
from gateway.host.supervisor import KEEP

_POLL: Final = 0.1
_STRAY_GRACE: Final = 10.0
_APPEARS_WITHIN: Final = 60.0  # a Python start on a busy machine


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; False when `seconds` have passed."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(_POLL)
    return True


class Lease:
    """The starter's hold on a stack that is not ready yet.

    Closing it (or dying) without `keep` ends the stack.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def keep(self) -> None:
        """Let the stack live on by itself."""
        if self._descriptor is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._descriptor, KEEP)
        self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_is_held(layout: Layout) -> bool:
    """Say whether a supervisor holds this directory."""
    try:
        descriptor = os.open(layout.supervisor_lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def find(layout: Layout) -> status.Status | None:
    """Return the status of the live supervisor, or None when there is none."""

    def live() -> status.Status | None:
        seen = status.read(layout.status)
        return seen if seen is not None and process.alive(seen.supervisor) else None

    found = live()
    if found is None and lock_is_held(layout):  # it is being born, or just ends
        wait_until(
            lambda: live() is not None or not lock_is_held(layout), _APPEARS_WITHIN
        )
        found = live()
    return found


def start(layout: Layout, plan: status.Plan) -> Lease:
    """Start a supervisor in a session of its own.

    Args:
        layout: the stack's directory; its directories exist.
        plan: what to run.

    Returns:
        The lease on it.

    Raises:
        StepFailedError: it did not come up; carries the end of its log.
    """
    write_atomically(layout.plan, msgspec.json.encode(plan))
    reading, writing = os.pipe()
    lease = Lease(writing)
    try:
        with layout.log_of("supervisor").open("ab") as log:
            daemon = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "gateway.host", str(layout.root), str(reading)],
                cwd=layout.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(reading,),
                start_new_session=True,
            )
        os.close(reading)
        _await_birth(layout, daemon)
    except BaseException:  # an interrupt too: the lease must not outlive this call
        lease.close()
        raise
    return lease


def _await_birth(layout: Layout, daemon: subprocess.Popen[bytes]) -> None:
    def settled() -> bool:
        seen = status.read(layout.status)
        born = seen is not None and seen.supervisor.pid == daemon.pid
        return born or daemon.poll() is not None

    if not wait_until(settled, _APPEARS_WITHIN) or daemon.poll() is not None:
        raise StepFailedError(
            "the supervisor did not start",
            f"read {layout.log_of('supervisor')}",
            tail(layout, "supervisor"),
        )


def tail(layout: Layout, name: str, lines: int = 20) -> str:
    """Return the last lines of a log."""
    try:
        with layout.log_of(name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def stop(layout: Layout, seen: status.Status, tell: Callable[[str], None]) -> None:
    """End a live stack: ask its supervisor, wait, then take what is left.

    Args:
        layout: the stack's directory.
        seen: its status.
        tell: takes one line for people at each change.
    """
    process.send(seen.supervisor, signal.SIGTERM)
    patience = 15.0 + sum(spec.grace for spec in status.read_plan(layout.plan).children)
    await_end(layout, seen, tell, patience)


def await_end(
    layout: Layout, seen: status.Status, tell: Callable[[str], None], patience: float
) -> None:
    """Wait for a stack that is ending; what is left after `patience` s is killed."""
    told: set[str] = set()

    def gone() -> bool:
        now = status.read(layout.status)
        for child in now.children if now else ():
            line = f"{child.name}: {child.state}"
            if child.state in {"stopping", "stopped"} and line not in told:
                told.add(line)
                tell(line)
        return not process.alive(seen.supervisor)

    if not wait_until(gone, patience):
        tell("the supervisor does not answer: it is killed")
        process.send(seen.supervisor, signal.SIGKILL)
        wait_until(lambda: not process.alive(seen.supervisor), _STRAY_GRACE)
    for line in sweep(layout, seen):
        tell(line)


def strays(seen: status.Status) -> tuple[process.Identity, ...]:
    """List what still runs of a stack whose supervisor is dead.

    A process counts when it carries the stack's token, or belongs to the group of a
    recorded child that is still the recorded one.
    """
    found = set(process.carrying(status.STACK_VARIABLE, seen.token))
    for child in seen.children:
        if child.identity is not None and process.alive(child.identity):
            found.update(process.group_members(child.identity.pid))
    return tuple(sorted(found, key=lambda who: who.pid))


def members(seen: status.Status) -> frozenset[int]:
    """List the pids that belong to a live stack."""
    carrying = process.carrying(status.STACK_VARIABLE, seen.token)
    return frozenset({seen.supervisor.pid, *(who.pid for who in carrying)})


def sweep(layout: Layout, seen: status.Status | None = None) -> list[str]:
    """End the strays of a dead supervisor and forget its status.

    Args:
        layout: the stack's directory.
        seen: the status to go by; the status file's by default.

    Returns:
        What was done, a line each.
    """
    seen = seen or status.read(layout.status)
    if seen is None or process.alive(seen.supervisor):
        return []
    left = strays(seen)
    names = [process.describe(who.pid) for who in left]
    for who in left:
        process.send(who, signal.SIGTERM)
    if not wait_until(lambda: not strays(seen), _STRAY_GRACE):
        for who in strays(seen):
            process.send(who, signal.SIGKILL)
        wait_until(lambda: not strays(seen), _STRAY_GRACE)
    layout.status.unlink(missing_ok=True)
    return [f"ended a stray of an earlier run: {name}" for name in names]
