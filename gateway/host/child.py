"""One child process of the supervisor: its states, its process group, its end."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.host import process
from gateway.host.policy import Backoff, Event, State, step
from gateway.host.status import ChildSpec, ChildStatus

_PR_SET_PDEATHSIG: Final = 1
_LOG_LIMIT: Final = 16 * 1024 * 1024


def tied_to_parent() -> Callable[[], None]:
    """Make the hook that lets a child end when its supervisor dies.

    The kernel sends SIGTERM then, whatever killed the supervisor (prctl(2)). The
    library is loaded here, since after the fork nothing may be loaded any more.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def hook() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def describe_exit(code: int) -> str:
    """Say how a process ended, from its return code as subprocess gives it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _has_ended(pid: int) -> bool:
    """Look without reaping: the number stays taken as long as nobody waits for it."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None


class Child:
    """A process that is kept running until it is asked to stop.

    All times are readings of one monotonic clock, in seconds.
    """

    def __init__(
        self, spec: ChildSpec, backoff: Backoff, token: dict[str, str]
    ) -> None:
        self.spec = spec
        self.state = State.WAITING
        self.deaths = 0
        self.last = ""
        self.deadline = 0.0  # of the pause when waiting, of the grace when stopping
        self._backoff = backoff
        self._token = token
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: process.Identity | None = None

    def status(self) -> ChildStatus:
        return ChildStatus(
            name=self.spec.name,
            state=self.state,
            log=self.spec.log,
            identity=self._identity,
            deaths=self.deaths,
            last=self.last,
        )

    def start_if_due(self, now: float) -> None:
        """Start the process when it waits and its pause is over."""
        if self.state is not State.WAITING or now < self.deadline:
            return
        self.state = step(self.state, Event.DUE)
        self._started = now
        try:
            self._process = self._spawn()
        except OSError as error:
            self.last = f"cannot be started: {error}"
            self._died(0.0)
            return
        self._identity = process.identify(self._process.pid)

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = Path(self.spec.log)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_name(f"{log.name}.1"))
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - argv comes from the plan, never from a request
                self.spec.argv,
                cwd=self.spec.cwd,
                env={**os.environ, **self.spec.env, **self._token},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=tied_to_parent(),  # noqa: PLW1509 - the supervisor has one thread
            )

    def reap(self, now: float) -> None:
        """Notice that the process has ended, and clear away what it left behind."""
        if self._process is None or not _has_ended(self._process.pid):
            return
        self._kill_group()
        code = self._process.wait()
        self._process = self._identity = None
        self.last = describe_exit(code)
        if self.state is State.STOPPING:
            self.state = step(self.state, Event.EXITED)
        else:
            self._died(now - self._started, now)

    def _died(self, lived: float, now: float | None = None) -> None:
        self.state = step(self.state, Event.EXITED)
        self.deaths = self._backoff.deaths(self.deaths, lived)
        since = self._started if now is None else now
        self.deadline = since + self._backoff.pause(self.deaths)

    def forgive(self, now: float) -> None:
        """Forget earlier deaths once this life is long enough."""
        lived = now - self._started
        if self.state is State.RUNNING and lived >= self._backoff.healthy_after:
            self.deaths = 0

    def stop(self, now: float, grace: float) -> None:
        """Ask the process to end; after `grace` seconds its group is killed."""
        before, self.state = self.state, step(self.state, Event.STOP)
        if before is State.RUNNING and self._process is not None:
            self._process.send_signal(signal.SIGTERM)
        if self.state is State.STOPPING:
            self.deadline = min(
                now + grace, self.deadline if before is State.STOPPING else now + grace
            )

    def kill_if_late(self, now: float) -> None:
        """Kill the process group when the grace is over."""
        if self.state is State.STOPPING and now >= self.deadline:
            self._kill_group()

    def _kill_group(self) -> None:
        # Only ever called before the leader is reaped: till then the kernel keeps
        # its number taken, so the group is surely ours.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def clock() -> float:
    """Read the monotonic clock that all times here are of."""
    return time.monotonic()
