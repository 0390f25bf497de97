"""Holds a flag up with a store as a gateway does: `python -m bench.follower URL [--deaf]`.

Says on standard output when each version came into force, and when the lease was over.
`--deaf` hears no hints.
"""

import asyncio
import sys
import time
from typing import Final

from gateway.control.documents import Refresher
from gateway.life import STORE_POLL
from gateway.live import Live, Present
from routing.errors import StoreError
from routing.flags import FlagDocument
from routing.store import Store
from routing.stores import open_store

LOOK_SECONDS: Final = 0.002


class Telling(Live):
    """Says what it takes."""

    def replace(self, present: Present) -> bool:
        """See `Live`."""
        taken = super().replace(present)
        tell("version", self.present.flags_version)
        return taken


def tell(what: str, number: int) -> None:
    """One line: what, a number, monotonic seconds."""
    sys.stdout.write(f"{what} {number} {time.monotonic():.6f}\n")
    sys.stdout.flush()


def deaf(store: Store) -> None:
    """Let a store's hints come never."""

    async def changed() -> None:
        await asyncio.Event().wait()

    vars(store)["changed"] = changed


async def main(url: str, *options: str) -> None:
    """Follow until the end of the process."""
    store, seed = open_store(url), Present(FlagDocument())
    if "--deaf" in options:
        deaf(store)
    live = Telling(seed)
    refresher = Refresher(store, live, seed)
    while not refresher.up:
        try:
            await refresher.refresh()
        except StoreError:
            await asyncio.sleep(STORE_POLL)
    tell("version", 0)
    loop = asyncio.create_task(refresher.run(every=STORE_POLL))
    while not live.stale:  # noqa: ASYNC110 -- time alone makes it so
        await asyncio.sleep(LOOK_SECONDS)
    tell("stale", 0)
    await loop


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
