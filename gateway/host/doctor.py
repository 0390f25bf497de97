"""What is missing on this machine, and what to do about it."""

import hashlib
from typing import Final

import msgspec

from gateway.host import machine, process
from gateway.host.config import StackConfig, port_of
from gateway.host.layout import BASE_RECORD, Layout
from gateway.host.machine import GIB, Machine, Port

_MEMORY: Final = 6 * GIB
_DISK_FRESH: Final = 8 * GIB
_DISK_INSTALLED: Final = 1 * GIB
_PYTHON: Final = (3, 11)


class Row(msgspec.Struct, frozen=True):
    """One finding. A row that is neither `ok` nor `needed` is a warning."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    needed: bool = True

    @property
    def fatal(self) -> bool:
        return self.needed and not self.ok


class Circumstances(msgspec.Struct, frozen=True):
    """What the same machine is judged for.

    `own` are the pids of a stack that runs already: what they hold is not missing.
    """

    engine_here: bool
    own: frozenset[int] = frozenset()


def examine(
    layout: Layout, config: StackConfig, circumstances: Circumstances
) -> tuple[Row, ...]:
    """Look at everything that a stack needs here."""
    seen = machine.read(layout.root)
    ports = [
        machine.look_at_port("data plane", port_of(config.gateway.listen)),
        machine.look_at_port("control plane", port_of(config.gateway.admin_listen)),
    ]
    if circumstances.engine_here:
        number = port_of(config.engine.replicas[0])
        ports.append(machine.look_at_port("engine", number))
    return (
        *judge_machine(seen, circumstances, installed=is_installed(layout, "engine")),
        *(judge_port(port, circumstances) for port in ports),
        *judge_files(layout, config, circumstances),
    )


def judge_machine(
    seen: Machine, circumstances: Circumstances, *, installed: bool
) -> tuple[Row, ...]:
    """Compare the machine with what is needed.

    Args:
        seen: the machine.
        circumstances: what it is judged for.
        installed: whether the engine's environment is on the disk already.
    """
    here = circumstances.engine_here
    running = bool(circumstances.own)
    disk = _DISK_INSTALLED if installed or not here else _DISK_FRESH
    python = f"{seen.python[0]}.{seen.python[1]}"
    can_vector = seen.architecture == "x86_64" and "avx2" in seen.cpu_flags
    return (
        Row(
            "Python",
            seen.python >= _PYTHON,
            python,
            "install Python 3.11 and run make PYTHON=python3.11 up",
        ),
        Row("system", seen.system == "Linux", seen.system, "use a Linux machine"),
        Row(
            "CPU",
            can_vector,
            f"{seen.architecture}, {'with' if can_vector else 'without'} AVX2",
            "vLLM's CPU build needs x86-64 with AVX2: use another machine,"
            " or one where vLLM runs: make up ENGINE_URL=http://HOST:PORT",
            needed=here,
        ),
        Row(
            "cores",
            seen.cores >= 2,  # noqa: PLR2004 - the smallest machine it was tried on
            str(seen.cores),
            "it will work, but slowly: give it two cores or more",
            needed=False,
        ),
        Row(
            "memory",
            seen.memory >= _MEMORY or running,
            f"{seen.memory / GIB:.1f} GiB free",
            f"free {_MEMORY // GIB} GiB: end what uses it, or use ENGINE_URL",
            needed=here,
        ),
        Row(
            "disk",
            seen.disk >= disk,
            f"{seen.disk / GIB:.1f} GiB free",
            f"free {disk // GIB} GiB where this repository is",
        ),
        Row(
            "curl",
            seen.curl,
            "present" if seen.curl else "absent",
            "install curl to run the lines that `make up` prints",
            needed=False,
        ),
    )


def judge_port(port: Port, circumstances: Circumstances) -> Row:
    """Say whether a port can be had (or is ours already)."""
    name = f"port {port.number}"
    if not port.taken:
        return Row(name, ok=True, found=f"free ({port.name})")
    if port.holder in circumstances.own:
        return Row(name, ok=True, found=f"held by this stack ({port.name})")
    holder = "a process of another user"
    if port.holder is not None:
        holder = process.describe(port.holder)
    return Row(
        name,
        ok=False,
        found=f"taken by {holder}",
        advice=f"end it, or give the {port.name} another port in wastegate.toml",
    )


def judge_files(
    layout: Layout, config: StackConfig, circumstances: Circumstances
) -> tuple[Row, ...]:
    """Say which environments and models are there."""
    here = circumstances.engine_here
    model = layout.model(config.engine.base)
    present = (model / BASE_RECORD).is_file()
    rows = [
        _environment(layout, "gateway", ".venv", needed=True),
        _environment(layout, "engine", ".venv-engine", needed=here),
    ]
    if here:
        rows.append(
            Row(
                "base model",
                present,
                config.engine.base if present else "not prepared yet",
                "nothing to do: `make up` prepares it",
                needed=False,
            )
        )
    return tuple(rows)


def _environment(layout: Layout, name: str, directory: str, *, needed: bool) -> Row:
    ok = is_installed(layout, name)
    return Row(
        f"environment {directory}",
        ok,
        "installed" if ok else "missing, unfinished or out of date",
        f"run make {directory}",
        needed=needed,
    )


_ENVIRONMENTS: Final = {
    "gateway": (".venv", ("locks/gateway.txt", "locks/dev.txt", "pyproject.toml")),
    "engine": (".venv-engine", ("locks/engine.txt",)),
}
"""Where each environment is, and what its stamp is a digest of (see the Makefile)."""


def is_installed(layout: Layout, name: str) -> bool:
    """Say whether `make` has finished an environment for the present locks."""
    directory, sources = _ENVIRONMENTS[name]
    digest = hashlib.sha256()
    try:
        for source in sources:
            digest.update((layout.root / source).read_bytes())
    except FileNotFoundError:
        return False
    stamp = layout.root / directory / f".installed-{digest.hexdigest()[:12]}"
    return stamp.is_file()
