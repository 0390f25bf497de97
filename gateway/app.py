"""The composition root: the only place where things are put together.

`create_app` builds and touches nothing outside; the data plane's lifespan opens the
store, starts the loops, and closes what it opened.
"""

import gc
import hashlib
import hmac
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final, NamedTuple

import uvloop
from fastapi import FastAPI, Response

from gateway.api import (
    control_adapters,
    control_audit,
    control_flags,
    control_rollouts,
    control_store,
    control_verdicts,
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
from gateway.api.operators import named, operators
from gateway.api.plane import Endpoint, Plane
from gateway.control.orders import Orders
from gateway.control.preflight import Ground
from gateway.control.probing import Probing
from gateway.control.verdicts import Verdicts
from gateway.errors import SettingsError
from gateway.life import after, lifespan
from gateway.parts import Parts, built, epoch
from gateway.pipeline.call import Tenant
from gateway.pipeline.pinned import Asker
from gateway.pipeline.route import Router
from gateway.pipeline.shadow import Shadow
from gateway.place import Place
from gateway.settings import Settings
from gateway.standing import measure, measure_flag, readiness
from gateway.surfaces import compiled_surfaces, probe_sets, registered_schemas
from gateway.telemetry.exposition import render
from gateway.telemetry.record import AUTO, fan_out
from gateway.telemetry.shadow import ShadowCounter
from structured.schema import compile_schema

_COMPILED: Final = 64
"""Schemas of requests that are kept compiled; a client sends the same ones again. At
the worst one takes 3 MB, nearly all of it regular expressions."""


class Application(NamedTuple):
    """The two planes of one gateway."""

    data: FastAPI
    control: FastAPI


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def create_app(
    settings: Settings,
    *,
    place: Place | None = None,
    on_broken: Callable[[], None] = _terminate,
) -> Application:
    """Put a gateway together; nothing is opened yet.

    Args:
        settings: checked.
        place: of a worker among several.
        on_broken: called when a control loop has died of a defect; a gateway must
            not go on as if it were tended, so the default ends the process.

    Raises:
        SettingsError: a schema does not compile, the store's URL names none, or what
            is to be kept cannot be.
    """
    parts = built(settings, place)
    return Application(
        _data_plane(settings, parts, on_broken), _control_plane(settings, parts)
    )


def serve(settings: Settings, place: Place | None = None) -> int:
    """Run a gateway, or a worker of one, until SIGINT or SIGTERM; the exit code.

    A configuration that cannot be used is one line on standard error and exit 2.
    """
    try:
        app = create_app(settings, place=place)
    except SettingsError as error:
        sys.stderr.write(f"wastegate: {error}\n")
        return 2
    gateway = settings.gateway
    data, control = (
        (place.data, place.control) if place else (gateway.listen, gateway.admin_listen)
    )
    planes = [(app.data, data)]
    if place is None or place.leads:
        planes.append((app.control, control))
    # What is there by now stays: the collector need not walk it once a second.
    gc.freeze()
    served = server.serve(planes, settings.limits, grace=gateway.drain_seconds)
    return 0 if uvloop.run(served) else 1


def _data_plane(
    settings: Settings, parts: Parts, on_broken: Callable[[], None]
) -> FastAPI:
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
        sink=fan_out(parts.counters, parts.log),
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
        lifespan=lifespan(parts, probing, shadow, on_broken),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    errors.install(app)
    return app


def _control_plane(settings: Settings, parts: Parts) -> FastAPI:
    app = FastAPI(
        title="Wastegate control plane", version="1", lifespan=after(parts.begun)
    )
    admin = settings.admin
    verdicts = Verdicts(parts.store, parts.changes, settings.engine.base)
    app.state.operators = operators(admin.key_sha256, admin.read_key_sha256)
    app.state.desk = control_flags.Desk(
        live=parts.live,
        changes=parts.changes,
        store=parts.store,
        registry=parts.registry,
        fleet=parts.fleet,
        verdicts=verdicts,
        presence=parts.presence,
        leader=parts.leader,
        base_ref=settings.engine.base,
        max_loras=settings.engine.max_loras,
        event=parts.log.event,
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
            verdicts=verdicts,
            tenants=tuple(settings.tenants),
            surfaces=(*settings.surfaces, AUTO),
            operators=tuple(name for name, _ in named(admin.key_sha256)),
        ),
        now=epoch,
    )
    app.include_router(control_flags.router)
    app.include_router(control_adapters.router)
    app.include_router(control_audit.router)
    app.include_router(control_rollouts.router)
    app.include_router(control_store.router)
    app.include_router(control_verdicts.router)
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
        measure_flag(
            parts.gauges,
            parts.live.present,
            parts.leader.reports,
            store_up=parts.refresher.up,
        )
        body, kind = render(parts.shown)
        return Response(body, media_type=kind)

    errors.install(app)
    return app


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
            region=tenant.region,
            keep=tenant.keep,
        )
        for name, tenant in settings.tenants.items()
        for digest in tenant.key_sha256
    }
