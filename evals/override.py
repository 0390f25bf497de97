"""The tenant's override: taken for a run, and given back as it was.

What was there before is also written to a file until it is back in place, so that a
run that was killed does not leave its own override behind as "what was there before"
for the next one.
"""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Final, Protocol

import msgspec

from evals.answers import Subject
from evals.errors import SetupError, TargetError

READY_SECONDS: Final = 10.0
"""How long a flip may take to reach the gateway's snapshot, adapters ready included."""

POLL_SECONDS: Final = 0.1


class Resolved(Protocol):
    """What a tenant would get now."""

    @property
    def generator(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def ready(self) -> bool: ...


class Control(Protocol):
    """What a run needs of the control plane."""

    async def overrides(self) -> dict[str, str]:
        """Generator by tenant."""
        ...

    async def put_override(self, tenant: str, generator: str, why: str) -> None:
        """Set a tenant's override."""
        ...

    async def delete_override(self, tenant: str, why: str) -> None:
        """Take it away."""
        ...

    async def resolve(self, tenant: str, surface: str) -> Resolved:
        """What the tenant would get now."""
        ...

    async def digests(self) -> dict[str, str]:
        """Adapter digests by ref."""
        ...


class _Before(msgspec.Struct):
    variant: str | None


@contextlib.asynccontextmanager
async def borrowed(
    control: Control, tenant: str, home: Path, why: str
) -> AsyncGenerator[None]:
    """Hold a tenant's override; whatever happens, put back what was there.

    Raises `SetupError` when another run on this machine holds the same tenant.
    """
    home.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 -- a command line's loop may wait for a directory
    note = home / f"override-{tenant}.json"
    with _alone(home / f".lock-{tenant}", tenant):
        if note.exists():
            before = msgspec.json.decode(note.read_bytes(), type=_Before)
        else:
            before = _Before((await control.overrides()).get(tenant))
            note.write_bytes(msgspec.json.encode(before))
        try:
            yield
        finally:
            await _restore(control, tenant, before.variant, why)
            note.unlink()


async def switch(
    control: Control, tenant: str, surface: str, generator: str, why: str
) -> Subject:
    """Give the tenant a generator; returns who will answer, once it is ready.

    Raises `TargetError` when the gateway resolves to something else after
    `READY_SECONDS`, or the adapter is ready nowhere.
    """
    await control.put_override(tenant, generator, why)
    try:
        async with asyncio.timeout(READY_SECONDS):
            resolved = await _settled(control, tenant, surface, generator)
    except TimeoutError as error:
        found = await control.resolve(tenant, surface)
        state = "ready" if found.ready else "not ready"
        raise TargetError(
            "not_ready",
            f"{tenant} still resolves to {found.generator} ({found.model}, {state})"
            f" {READY_SECONDS:.0f} s after an override to {generator}; is there a kill,"
            " or is the adapter not mounted? See /admin/v1/kill and /admin/v1/adapters",
        ) from error
    digests = await control.digests()
    return Subject(generator, resolved.model, digests.get(resolved.model, ""))


async def _settled(
    control: Control, tenant: str, surface: str, generator: str
) -> Resolved:
    while True:
        resolved = await control.resolve(tenant, surface)
        if resolved.generator == generator and resolved.ready:
            return resolved
        await asyncio.sleep(POLL_SECONDS)


async def _restore(control: Control, tenant: str, before: str | None, why: str) -> None:
    if before is None:
        await control.delete_override(tenant, f"{why}: done")
    else:
        await control.put_override(tenant, before, f"{why}: done")


@contextlib.contextmanager
def _alone(path: Path, tenant: str) -> Generator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(
                f"another run holds tenant {tenant}; wait for it, or use a tenant"
                " of its own with --tenant"
            ) from error
        yield
