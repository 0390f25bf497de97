"""What this machine is: read from /proc and the file system, judged elsewhere."""

import contextlib
import os
import platform
import shutil
import socket
from pathlib import Path
from typing import Final

import msgspec

from gateway.host import process

GIB: Final = 1024**3
_LISTENING: Final = "0A"


class Port(msgspec.Struct, frozen=True):
    """A port of the stack; `holder` is a pid if one could be seen."""

    name: str
    number: int
    taken: bool
    holder: int | None = None


class Machine(msgspec.Struct, frozen=True):
    """A machine as far as a stack cares; memory and disk in bytes, free."""

    python: tuple[int, int]
    system: str
    architecture: str
    cpu_flags: frozenset[str]
    cores: int
    memory: int
    disk: int
    curl: bool


def read(root: Path) -> Machine:
    """Look at this machine; `root` is where the stack's files will be."""
    return Machine(
        python=tuple(map(int, platform.python_version_tuple()[:2])),  # type: ignore[arg-type]
        system=platform.system(),
        architecture=platform.machine(),
        cpu_flags=cpu_flags(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        cores=len(os.sched_getaffinity(0)),
        memory=min(
            available(Path("/proc/meminfo").read_text(encoding="ascii")), _cgroup_room()
        ),
        disk=shutil.disk_usage(root).free,
        curl=shutil.which("curl") is not None,
    )


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Take the first CPU's feature flags out of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def available(meminfo: str) -> int:
    """Take the available memory, in bytes, out of /proc/meminfo."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroup_room() -> int:
    """Bytes left under a container's memory limit (cgroup v2); huge without one."""
    base = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        limit = int((base / "memory.max").read_text(encoding="ascii"))
        used = int((base / "memory.current").read_text(encoding="ascii"))
        return max(0, limit - used)
    return 2**63


def look_at_port(name: str, number: int) -> Port:
    """Find out whether something listens on a loopback port, and who."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return Port(name, number, taken=True, holder=_holder(number))
    return Port(name, number, taken=False)


def _holder(number: int) -> int | None:
    inodes = _listening_inodes(number)
    for pid in process.pids():
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(link.readlink()) in inodes:
                        return pid
    return None


def _listening_inodes(number: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                here = int(fields[1].rpartition(":")[2], 16) == number
                if here and fields[3] == _LISTENING:
                    found.add(f"socket:[{fields[9]}]")
    return found
