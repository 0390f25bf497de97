"""A gateway's life: what is opened, which loops run, and what is closed in the end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from fastapi import FastAPI

from gateway.control.documents import plant
from gateway.control.probing import Probing
from gateway.parts import Parts, wall_clock
from gateway.pipeline.shadow import Shadow
from routing.errors import StoreError
from routing.store import Change

_LOG: Final = logging.getLogger("wastegate")

STORE_POLL: Final = 0.2
"""Seconds between two looks at the store: what a lost hint costs at most. A third less
than the 300 ms that are promised, since hosts pause."""


def lifespan(
    parts: Parts,
    probing: Probing,
    shadow: Shadow | None,
    on_broken: Callable[[], None],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Make the lifespan of the data plane, which is the gateway's.

    Args:
        parts: what it stands on.
        probing: asks probes, in the worker that has the control plane.
        shadow: mirrors requests, if anything does.
        on_broken: called when a loop has died of a defect.
    """

    def ended(loop: asyncio.Task[None]) -> None:
        if not loop.cancelled() and (error := loop.exception()) is not None:
            _LOG.critical("a control loop died", exc_info=error)
            on_broken()

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncGenerator[None]:
        role = parts.follower or parts.leader
        try:
            await _planted(parts)
            await role.begin()
        finally:
            parts.begun.set()
        loops = [asyncio.create_task(each) for each in _loops(parts, probing, shadow)]
        for loop in loops:
            loop.add_done_callback(ended)
        try:
            async with parts.keeper.running() if parts.keeper else nullcontext():
                yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            role.close()
            replicas = (member.replica for member in parts.fleet.members)
            await asyncio.gather(*(replica.aclose() for replica in replicas))
            await parts.tallies.close()
            await parts.store.close()

    return living


def after(
    begun: asyncio.Event,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Make the control plane's lifespan: it answers nobody before what it shows is so."""

    @asynccontextmanager
    async def waiting(app: FastAPI) -> AsyncGenerator[None]:
        await begun.wait()
        yield

    return waiting


def _loops(
    parts: Parts, probing: Probing, shadow: Shadow | None
) -> list[Coroutine[None, None, None]]:
    """What runs beside the requests; some of it only where the control plane is."""
    loops = [
        parts.refresher.run(every=STORE_POLL),
        parts.counting.run(),
        parts.presence.run(),
    ]
    if shadow is not None:
        loops.append(shadow.run())
    if parts.follower is not None:
        return [*loops, parts.follower.run()]
    leading = (parts.leader, parts.reconciler, parts.rollouts, probing)
    return [*loops, *(each.run() for each in leading)]


async def _planted(parts: Parts) -> None:
    """Begin with what the store has; without a store, with the configuration."""
    change = Change("wastegate", "seed", "first start with this store", wall_clock())
    try:
        if not parts.live.stored.identity.id:
            await plant(parts.store, parts.seed, change)
        await parts.refresher.refresh()
    except StoreError as error:
        # Static stability: the data plane serves the seed, the gauge shows the rest.
        _LOG.error("starting without the store: %s", error)
