"""Who else is there, and whether a change has come to all of them.

Each process says every second that it lives, and at once when it holds a newer flag. A
kill waits for that: its answer names who has it, and who has not.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.live import Live, Present
from routing.errors import StoreError
from routing.tallies import Tallies

_LOG: Final = logging.getLogger("wastegate")

EVERY_SECONDS: Final = 1.0
"""Between two announcements, if nothing has changed."""

ALIVE_SECONDS: Final = 4.0
"""Who has not said anything for so long is not waited for: after five its canaries
have stopped by themselves."""

WAIT_SECONDS: Final = 1.0
"""How long a kill waits for the others; they need some milliseconds."""

_LOOK_SECONDS: Final = 0.01


class Heard(msgspec.Struct, frozen=True):
    """Who has a version in force, and who lives and has not."""

    acknowledged: tuple[str, ...]
    stragglers: tuple[str, ...]


class Presence:
    """Announces this process, and waits for the others.

    Args:
        tallies: where processes announce themselves.
        live: what is in force here.
        name: this process, for people: a host and a port, mostly.
    """

    def __init__(self, tallies: Tallies, live: Live, name: str) -> None:
        self._tallies = tallies
        self._live = live
        self.name = name
        self._woken = asyncio.Event()

    def wake(self, present: Present) -> None:
        """Something new is in force: say so at once."""
        del present
        self._woken.set()

    async def run(self) -> None:
        """Announce again and again, until cancelled."""
        while True:
            self._woken.clear()
            version = self._live.stored.flags_version
            try:
                await self._tallies.announce(self.name, version, ALIVE_SECONDS)
            except StoreError as error:
                _LOG.warning("nobody hears that this process lives: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._woken.wait()

    async def heard(self, version: int, there: Iterable[str] = ()) -> Heard:
        """Wait until all have a version in force, or no longer.

        Args:
            version: of the flag.
            there: who is known to serve, and may not have announced itself yet.

        Raises:
            StoreError: nobody can be asked.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = dict.fromkeys(there, 0) | await self._tallies.announced()
            found[self.name] = self._live.stored.flags_version
            late = tuple(sorted(who for who, held in found.items() if held < version))
            if not late or time.monotonic() > deadline:
                return Heard(tuple(sorted(found.keys() - set(late))), late)
            await asyncio.sleep(_LOOK_SECONDS)
