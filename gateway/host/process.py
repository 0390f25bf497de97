"""Processes by an identity that survives the reuse of their numbers.

A pid alone names whoever holds the number now. With the start time and the boot
it names one process for ever, so a pidfile left by a crash can do no harm.
Linux only: everything is read from /proc.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

_STATE, _GROUP, _STARTED = 0, 2, 19
"""Positions after the command's closing bracket in /proc/PID/stat (proc(5))."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Identity(msgspec.Struct, frozen=True):
    """One process, once and for ever.

    `started` is in clock ticks since the boot named by `boot`.
    """

    pid: int
    started: int
    boot: str


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def boot_id() -> str:
    """Name the machine's present boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def identify(pid: int) -> Identity | None:
    """Say who holds this number now; None when nobody (alive) does."""
    fields = _stat(pid)
    if fields is None or fields[_STATE] in "ZX":
        return None
    return Identity(pid=pid, started=int(fields[_STARTED]), boot=boot_id())


def alive(identity: Identity) -> bool:
    """Say whether exactly this process still runs."""
    return identify(identity.pid) == identity


def pids() -> Iterator[int]:
    """List the numbers of all processes that can be seen."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def group_members(group: int) -> tuple[Identity, ...]:
    """List the live processes of a process group."""
    return tuple(
        found
        for pid in pids()
        if (fields := _stat(pid)) is not None
        and int(fields[_GROUP]) == group
        and (found := identify(pid)) is not None
    )


def carrying(variable: str, value: str) -> tuple[Identity, ...]:
    """List the live processes that were started with VARIABLE=value.

    Processes of other users cannot be read and are left out.
    """
    wanted = f"{variable}={value}".encode()
    found: list[Identity] = []
    for pid in pids():
        with contextlib.suppress(OSError):
            content = Path(f"/proc/{pid}/environ").read_bytes()
            who = identify(pid) if wanted in content.split(b"\0") else None
            if who is not None:
                found.append(who)
    return tuple(found)


def send(identity: Identity, signum: signal.Signals) -> bool:
    """Signal exactly this process.

    The descriptor pins the process before its identity is compared, so the number
    cannot change hands in between.

    Returns:
        False when it had already gone.
    """
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def describe(pid: int) -> str:
    """Name a process for people: its command and number."""
    try:
        command = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        command = "?"
    return f"{command} (pid {pid})"
