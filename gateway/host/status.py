"""What the supervisor tells the outside: one small file, replaced as a whole.

It is the pidfile too. `up` and `down` read it; only the supervisor writes it.
"""

from pathlib import Path
from typing import Final

import msgspec

from gateway.host import layout, process
from gateway.host.policy import State

STACK_VARIABLE: Final = "WASTEGATE_STACK"
"""Each process of a stack is born with this variable set to the stack's token."""


class ChildSpec(msgspec.Struct, frozen=True):
    """How to run one child.

    `env` is added to the supervisor's own environment. `grace` is how long, in
    seconds, it may take to end after SIGTERM.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log: str
    grace: float


class Plan(msgspec.Struct, frozen=True):
    """What one supervisor runs; children start in this order and stop in reverse."""

    children: tuple[ChildSpec, ...]
    digest: str


class ChildStatus(msgspec.Struct, frozen=True):
    """One child as last seen. `deaths` counts those in a row, `last` says how."""

    name: str
    state: State
    log: str
    identity: process.Identity | None = None
    deaths: int = 0
    last: str = ""


class Status(msgspec.Struct, frozen=True):
    """The stack as last seen.

    `committed` is false until an `up` has seen it ready: till then it ends together
    with that `up`.
    """

    supervisor: process.Identity
    token: str
    digest: str
    committed: bool
    stopping: bool
    children: tuple[ChildStatus, ...]

    def child(self, name: str) -> ChildStatus | None:
        return next((child for child in self.children if child.name == name), None)


def read(path: Path) -> Status | None:
    """Read the file; None when there is none, or when it is not one of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write(path: Path, status: Status) -> None:
    """Replace the file."""
    layout.write_atomically(path, msgspec.json.encode(status))


def read_plan(path: Path) -> Plan:
    """Read a plan that this program wrote.

    Raises:
        msgspec.DecodeError: it is not a plan.
    """
    return msgspec.json.decode(path.read_bytes(), type=Plan)
