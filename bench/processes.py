"""Child processes: pinned to a core, waited for, measured, and never left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.errors import BenchError

ROOT: Final = Path(__file__).resolve().parent.parent
POLL_SECONDS: Final = 0.02
STOP_SECONDS: Final = 5.0
_SCHED: Final = 2
"""Of the kernel's clocks of a process the one that counts its time on a CPU."""


class Launch(msgspec.Struct, frozen=True):
    """A program to run."""

    name: str
    arguments: tuple[str, ...]
    core: int | str
    """A core, or several as taskset names them."""
    port: int
    log: Path


class Running:
    """A started program."""

    def __init__(self, launch: Launch, process: "subprocess.Popen[bytes]") -> None:
        self.launch = launch
        self._process = process

    def cpu_seconds(self) -> float:
        """CPU time of the program and its children so far."""
        return sum(_cpu(pid) for pid in _family(self._process.pid))

    def megabytes(self) -> float:
        """Resident memory of the program and its children now, in MiB."""
        return sum(map(_resident, _family(self._process.pid))) / 2**20

    def check(self) -> None:
        """Raise `BenchError` with the end of its log if the program has ended."""
        code = self._process.poll()
        if code is not None:
            tail = self.launch.log.read_text(errors="replace")[-1500:]
            raise BenchError(f"{self.launch.name} ended with {code}:\n{tail}")

    def stop(self) -> None:
        """End it and its children; by force after a while."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
                return


@contextlib.contextmanager
def started(launch: Launch, deadline: float = 60.0) -> Generator[Running]:
    """Run a program until the end of the block; listens when this is entered.

    `deadline` is in seconds. Raises `BenchError` when it ends or stays silent.
    """
    pinned = _pinned(launch.arguments, launch.core)
    with launch.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 -- arguments are ours, no shell
            pinned,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C is ours to pass on, in the right order
        )
    running = Running(launch, process)
    try:
        _listening(running, deadline)
        yield running
    finally:
        running.stop()


def _pinned(arguments: Sequence[str], core: int | str) -> tuple[str, ...]:
    # The kernel ends the child if this process is killed without a chance to.
    dies_with_us = ("setpriv", "--pdeathsig", "KILL")
    return (*dies_with_us, "taskset", "-c", str(core), *arguments)


def _listening(running: Running, deadline: float) -> None:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        running.check()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", running.launch.port), 1).close()
            return
        time.sleep(POLL_SECONDS)
    raise BenchError(f"{running.launch.name} does not listen after {deadline:.0f} s")


def run(arguments: Sequence[str], core: int, timeout: float) -> str:
    """Run a program on a core to its end; its output.

    Raises `BenchError` when it fails, or takes longer than `timeout` seconds.
    """
    try:
        done = subprocess.run(  # noqa: S603 -- arguments are ours, no shell
            _pinned(arguments, core),
            capture_output=True,
            check=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.CalledProcessError as error:
        raise BenchError(
            f"{arguments[0]} ended with {error.returncode}: {error.stderr[-1500:]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{arguments[0]} took longer than {timeout:.0f} s") from error
    return done.stdout


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on 127.0.0.1 that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(each.getsockname()[1] for each in sockets)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        direct = [int(child) for child in children.read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(each for child in direct for each in _family(child))]


def _resident(pid: int) -> int:
    """Bytes of a process that are in memory, 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    """Seconds of CPU of a process with all its threads, 0 if it has ended.

    By the process's own clock, numbered as clock_getcpuclockid(3) does: that is finer
    than the ticks in /proc.
    """
    try:
        return time.clock_gettime((~pid << 3) | _SCHED)
    except OSError:
        return 0.0
