"""The composition root: the only place where things are put together.

`create_app` builds and touches nothing outside; the data plane's lifespan opens the
store, starts the loops, and closes what it opened.
"""

import asyncio
import gc
import hashlib
import hmac
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import lru_cache, partial
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

import uvloop
from fastapi import FastAPI, Response

from gateway.api import (
    control_adapters,
    control_audit,
    control_flags,
    control_rollouts,
    control_store,
    errors,
    ofrep,
    server,
)
from gateway.api.access import Keys
from gateway.api.assist import assist
from gateway.api.completions import completions
from gateway.api.feedback import feedback
from gateway.api.front import DataPlane
from gateway.api.meta import ALIVE, Probe, models
from gateway.api.operators import operators
from gateway.api.plane import Endpoint, Plane
from gateway.control.documents import plant
from gateway.control.orders import Orders
from gateway.control.preflight import Ground
from gateway.control.probing import Probing
from gateway.errors import SettingsError
from gateway.parts import Parts, built, epoch, wall_clock
from gateway.pipeline.call import Tenant
from gateway.pipeline.pinned import Asker
from gateway.pipeline.route import Router
from gateway.pipeline.shadow import Shadow
from gateway.settings import Settings, load
from gateway.standing import measure, readiness
from gateway.surfaces import compiled_surfaces, probe_sets, registered_schemas
from gateway.telemetry.exposition import render
from gateway.telemetry.log import JsonLinesSink
from gateway.telemetry.record import AUTO, fan_out
from gateway.telemetry.shadow import ShadowCounter
from routing.errors import StoreError
from routing.store import Change
from structured.schema import compile_schema

_LOG: Final = logging.getLogger("wastegate")

_COMPILED: Final = 64
"""Schemas of requests that are kept compiled; a client sends the same ones again. At
the worst one takes 3 MB, nearly all of it regular expressions."""

_STORE_POLL: Final = 0.25
"""Seconds between two looks at the store: what a lost hint costs at most."""


class Application(NamedTuple):
    """The two planes of one gateway."""

    data: FastAPI
    control: FastAPI


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def create_app(
    settings: Settings, *, on_broken: Callable[[], None] = _terminate
) -> Application:
    """Put a gateway together; nothing is opened yet.

    Args:
        settings: checked.
        on_broken: called when a control loop has died of a defect; a gateway must
            not go on as if it were tended, so the default ends the process.

    Raises:
        SettingsError: a schema does not compile, the store's URL names none, or what
            is to be kept cannot be.
    """
    parts = built(settings)
    return Application(
        _data_plane(settings, parts, on_broken), _control_plane(settings, parts)
    )


def serve(config_paths: Sequence[Path]) -> int:
    """Run a gateway until SIGINT or SIGTERM; the exit code.

    A configuration that cannot be used is one line on standard error and exit 2.
    """
    try:
        settings = load(config_paths, os.environ)
        app = create_app(settings)
    except SettingsError as error:
        sys.stderr.write(f"wastegate: {error}\n")
        return 2
    planes = (
        (app.data, settings.gateway.listen),
        (app.control, settings.gateway.admin_listen),
    )
    # What is there by now stays: the collector need not walk it once a second.
    gc.freeze()
    grace = settings.gateway.drain_seconds
    served = server.serve(planes, settings.limits, grace=grace)
    return 0 if uvloop.run(served) else 1


def _data_plane(
    settings: Settings, parts: Parts, on_broken: Callable[[], None]
) -> FastAPI:
    log = JsonLinesSink(FileIO(sys.stdout.fileno(), "ab", closefd=False), clock=epoch)
    registered = registered_schemas(settings)
    surfaces = compiled_surfaces(settings, registered)
    assigned = parts.counting.assigned
    router = Router(parts.live, parts.fleet, settings.engine.base, assigned)
    limits = settings.limits
    probing = Probing(
        parts.live,
        parts.tallies,
        Asker(router, surfaces, limits.default_max_tokens, limits.request_seconds),
        probe_sets(settings),
        mine=lambda: parts.rollouts.mine,
    )
    shadow = None
    if any(surface.shadow for surface in surfaces.values()):
        told = ShadowCounter(parts.telemetry)
        shadow = Shadow(parts.live, router, parts.counting.count, told)
    plane = Plane(
        keys=Keys(_tenants(settings)),
        surfaces=surfaces,
        compile=lru_cache(_COMPILED)(partial(compile_schema, registered=registered)),
        router=router,
        limits=limits,
        sink=fan_out(parts.counters, log),
        now=epoch,
        tally=parts.counting,
        shadow=shadow,
        keep=parts.keeper,
    )
    app = DataPlane(
        {
            ("POST", "/v1/assist"): Endpoint(plane, assist),
            ("POST", "/v1/chat/completions"): Endpoint(plane, completions),
            ("POST", "/v1/feedback"): Endpoint(plane, feedback),
            ("GET", "/v1/models"): Endpoint(plane, models),
            ("GET", "/healthz"): Probe(lambda: ALIVE),
            ("GET", "/readyz"): Probe(
                lambda: readiness(parts.live, parts.fleet, parts.refresher)
            ),
        },
        title="Wastegate",
        lifespan=_lifespan(parts, probing, shadow, on_broken),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    errors.install(app)
    return app


def _control_plane(settings: Settings, parts: Parts) -> FastAPI:
    app = FastAPI(title="Wastegate control plane", version="1")
    admin = settings.admin
    app.state.operators = operators(admin.key_sha256, admin.read_key_sha256)
    app.state.desk = control_flags.Desk(
        live=parts.live,
        changes=parts.changes,
        store=parts.store,
        registry=parts.registry,
        fleet=parts.fleet,
        presence=parts.presence,
        base_ref=settings.engine.base,
    )
    app.state.reconciler = parts.reconciler
    app.state.refresher = parts.refresher
    app.state.tallies = parts.tallies
    app.state.orders = Orders(
        parts.changes,
        Ground(
            live=parts.live,
            registry=parts.registry,
            fleet=parts.fleet,
            tenants=tuple(settings.tenants),
            surfaces=(*settings.surfaces, AUTO),
        ),
        now=epoch,
    )
    app.include_router(control_flags.router)
    app.include_router(control_adapters.router)
    app.include_router(control_audit.router)
    app.include_router(control_rollouts.router)
    app.include_router(control_store.router)
    app.include_router(ofrep.router)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        measure(
            parts.gauges,
            parts.counters,
            parts.live,
            parts.fleet,
            parts.rollouts.looks,
        )
        body, kind = render(parts.telemetry)
        return Response(body, media_type=kind)

    errors.install(app)
    return app


def _lifespan(
    parts: Parts,
    probing: Probing,
    shadow: Shadow | None,
    on_broken: Callable[[], None],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    def ended(loop: asyncio.Task[None]) -> None:
        if not loop.cancelled() and (error := loop.exception()) is not None:
            _LOG.critical("a control loop died", exc_info=error)
            on_broken()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        await _planted(parts)
        loops = [
            asyncio.create_task(parts.refresher.run(every=_STORE_POLL)),
            asyncio.create_task(parts.reconciler.run()),
            asyncio.create_task(parts.counting.run()),
            asyncio.create_task(parts.rollouts.run()),
            asyncio.create_task(parts.presence.run()),
            asyncio.create_task(probing.run()),
        ]
        if shadow is not None:
            loops.append(asyncio.create_task(shadow.run()))
        for loop in loops:
            loop.add_done_callback(ended)
        try:
            async with parts.keeper.running() if parts.keeper else nullcontext():
                yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            replicas = (member.replica for member in parts.fleet.members)
            await asyncio.gather(*(replica.aclose() for replica in replicas))
            await parts.tallies.close()
            await parts.store.close()

    return lifespan


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


def _tenants(settings: Settings) -> Mapping[str, Tenant]:
    """Tenants by the SHA-256 of their keys.

    The salt is derived from the keys' digests, which are secret enough for what it
    does: to keep one tenant from timing what another has asked.
    """
    secret = "".join(settings.admin.key_sha256).encode()
    return {
        digest: Tenant(
            name=name,
            surfaces=frozenset(tenant.surfaces),
            fallback=tenant.fallback,
            cache_salt=hmac.new(secret, name.encode(), hashlib.sha256).hexdigest(),
            show_raw=tenant.show_raw,
            keep=tenant.keep,
        )
        for name, tenant in settings.tenants.items()
        for digest in tenant.key_sha256
    }
