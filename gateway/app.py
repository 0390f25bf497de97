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
import secrets
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache, partial
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

import uvloop
from fastapi import FastAPI, Response

from adapters.lifecycle import State
from adapters.registry import Registry
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
from gateway.api.meta import ALIVE, Probe, Readiness, models
from gateway.api.operators import operators
from gateway.api.plane import Endpoint, Plane
from gateway.control.changes import Changes
from gateway.control.counting import Counting
from gateway.control.documents import Refresher, plant, seeded
from gateway.control.last_known import keeper, load as load_last_known
from gateway.control.orders import Orders
from gateway.control.preflight import Ground, ready
from gateway.control.reconcile import Reconciler
from gateway.control.rollouts import Rollouts
from gateway.engine.vllm import VllmReplica
from gateway.errors import SettingsError
from gateway.fleet import Fleet
from gateway.keep.files import Files, obstacle
from gateway.keep.keeper import Keeper
from gateway.live import Live, Present
from gateway.pipeline.call import Tenant
from gateway.pipeline.route import Router
from gateway.settings import Settings, load
from gateway.surfaces import compiled_surfaces, registered_schemas
from gateway.telemetry.exposition import Telemetry, new_registry, render
from gateway.telemetry.kept import KeptCounters
from gateway.telemetry.log import JsonLinesSink
from gateway.telemetry.prometheus import PrometheusSink
from gateway.telemetry.record import AUTO, fan_out
from gateway.telemetry.state import RolloutSeen, StateGauges
from routing.errors import StoreError
from routing.flags import FlagDocument
from routing.store import Change, Store
from routing.stores import open_store, open_tallies
from routing.tallies import Tallies
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


class Parts(NamedTuple):
    """What both planes stand on."""

    live: Live
    store: Store
    fleet: Fleet
    registry: Registry
    seed: Present
    refresher: Refresher
    reconciler: Reconciler
    telemetry: Telemetry
    gauges: StateGauges
    counters: PrometheusSink
    keeper: Keeper | None
    changes: Changes
    tallies: Tallies
    counting: Counting
    rollouts: Rollouts


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
    parts = _parts(settings)
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


def _parts(settings: Settings) -> Parts:
    flag = settings.flag
    first = FlagDocument(default=flag.default, lora=flag.lora, lora_pref=flag.lora_pref)
    seed = seeded(first, {**settings.generators})
    # A store on this disk is its own last known state; it is lost on purpose or with it.
    shared = not settings.gateway.state.startswith("sqlite:")
    last_known = Path(settings.gateway.last_known) if shared else None
    live = Live((last_known and load_last_known(last_known)) or seed)
    engine = settings.engine
    fleet = Fleet(
        [VllmReplica(url, engine.timeouts) for url in engine.replicas],
        base_name=engine.served_model_name,
        max_in_flight=engine.max_in_flight,
    )
    registry = Registry(Path(settings.registry.path))
    telemetry = new_registry()
    gauges = StateGauges(telemetry, states=[state.value for state in State])
    store = _store(settings)
    counters = PrometheusSink(
        telemetry,
        tenants=list(settings.tenants),
        surfaces=list(settings.surfaces),
        models=[engine.base, *settings.generators.values()],
    )
    refresher = Refresher(
        store,
        live,
        seed,
        report=lambda up: gauges.store(up=up),
        keep=keeper(last_known) if last_known else lambda _: None,
    )
    changes = Changes(store, live, refresher, now=_now)
    tallies = _tallies(settings)
    return Parts(
        live=live,
        store=store,
        fleet=fleet,
        registry=registry,
        seed=seed,
        refresher=refresher,
        reconciler=Reconciler(
            fleet,
            live,
            registry,
            base_ref=engine.base,
            max_loras=engine.max_loras,
            poll_seconds=engine.poll_seconds,
        ),
        telemetry=telemetry,
        gauges=gauges,
        counters=counters,
        keeper=_keeper(settings, telemetry, counters),
        changes=changes,
        tallies=tallies,
        counting=Counting(tallies),
        rollouts=Rollouts(
            changes,
            live,
            tallies,
            ready=partial(ready, fleet),
            owner=secrets.token_hex(8),
            now=_epoch,
        ),
    )


def _keeper(
    settings: Settings, telemetry: Telemetry, counters: PrometheusSink
) -> Keeper | None:
    """What keeps outputs; nothing where no tenant has opted in.

    Raises:
        SettingsError: their directory cannot be made or written.
    """
    if all(tenant.keep == "none" for tenant in settings.tenants.values()):
        return None
    if why := obstacle(Path(settings.keep.directory)):
        raise SettingsError(
            "keep.directory", f"{why}; name one that can be, or set no tenant's keep"
        )
    counts = KeptCounters(
        telemetry,
        tenants=list(settings.tenants),
        surfaces=list(settings.surfaces),
        models=counters.models,
    )
    return Keeper(settings.keep, Files(settings.keep, now=_epoch), counts, now=_epoch)


def _data_plane(
    settings: Settings, parts: Parts, on_broken: Callable[[], None]
) -> FastAPI:
    log = JsonLinesSink(FileIO(sys.stdout.fileno(), "ab", closefd=False), clock=_epoch)
    registered = registered_schemas(settings)
    plane = Plane(
        keys=Keys(_tenants(settings)),
        surfaces=compiled_surfaces(settings, registered),
        compile=lru_cache(_COMPILED)(partial(compile_schema, registered=registered)),
        router=Router(parts.live, parts.fleet, settings.engine.base),
        limits=settings.limits,
        sink=fan_out(parts.counters, log),
        now=_epoch,
        tally=parts.counting,
        keep=parts.keeper,
    )
    app = DataPlane(
        {
            ("POST", "/v1/assist"): Endpoint(plane, assist),
            ("POST", "/v1/chat/completions"): Endpoint(plane, completions),
            ("POST", "/v1/feedback"): Endpoint(plane, feedback),
            ("GET", "/v1/models"): Endpoint(plane, models),
            ("GET", "/healthz"): Probe(lambda: ALIVE),
            ("GET", "/readyz"): Probe(lambda: _readiness(parts)),
        },
        title="Wastegate",
        lifespan=_lifespan(parts, on_broken),
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
        now=_epoch,
    )
    app.include_router(control_flags.router)
    app.include_router(control_adapters.router)
    app.include_router(control_audit.router)
    app.include_router(control_rollouts.router)
    app.include_router(control_store.router)
    app.include_router(ofrep.router)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        _measure(parts)
        body, kind = render(parts.telemetry)
        return Response(body, media_type=kind)

    errors.install(app)
    return app


def _lifespan(
    parts: Parts, on_broken: Callable[[], None]
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
        ]
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
    change = Change("wastegate", "seed", "first start with this store", _now())
    try:
        if not parts.live.stored.identity.id:
            await plant(parts.store, parts.seed, change)
        await parts.refresher.refresh()
    except StoreError as error:
        # Static stability: the data plane serves the seed, the gauge shows the rest.
        _LOG.error("starting without the store: %s", error)


def _readiness(parts: Parts) -> Readiness:
    present, fleet = parts.live.present, parts.fleet
    base = any(m.alive and fleet.base_name in m.observed.models for m in fleet.members)
    degraded = [
        f"{ref}, which {generator} is bound to, is ready nowhere"
        for generator, ref in present.bindings.items()
        if ref in present.mounted and not fleet.ready(ref)
    ]
    degraded += [
        f"replica {member.replica.url} is down"
        for member in fleet.members
        if not member.alive
    ]
    if not parts.refresher.up:
        degraded.append("the store is away; the last known flags are in force")
    elif parts.refresher.behind:
        degraded.append(
            "the store has lost what is in force; `wastegate store restore` writes it back"
        )
    missing = () if base else ("no vLLM replica is up with the base model",)
    return Readiness(ready=base, missing=missing, degraded=tuple(degraded))


def _measure(parts: Parts) -> None:
    """Bring the gauges up with the present, at each scrape."""
    gauges, present = parts.gauges, parts.live.present
    flags = present.flags
    gauges.flag(
        present.flags_version,
        default=flags.default,
        lora=flags.lora,
        lora_pref=flags.lora_pref,
    )
    gauges.bindings({str(name): ref for name, ref in present.bindings.items()})
    gauges.count_in_flight(lambda: parts.fleet.in_flight)
    for rollout in present.rollouts.values():
        look = parts.rollouts.looks.get(rollout.id)
        gauges.rollout(
            RolloutSeen(
                id=rollout.id,
                model=rollout.plan.candidate.model or "",
                phase=rollout.phase,
                weight=rollout.weight,
                evidence={
                    each.measure: {
                        "harm": each.harm,
                        "good": each.good,
                        "change": each.change,
                    }
                    for each in (look.readings if look else ())
                },
            )
        )
    gauges.forget_rollouts(present.rollouts.keys())
    for member in parts.fleet.members:
        url = member.replica.url
        gauges.replica(
            url, up=member.alive and parts.fleet.base_name in member.observed.models
        )
        for ref, slot in member.slots.items():
            parts.counters.know_model(ref)
            if slot.state is State.ABSENT and ref not in present.mounted:
                gauges.forget_adapter(url, ref)
            else:
                gauges.adapter(url, ref, slot.state.value)


def _store(settings: Settings) -> Store:
    try:
        return open_store(settings.gateway.state)
    except StoreError as error:
        raise SettingsError("gateway.state", str(error)) from error


def _tallies(settings: Settings) -> Tallies:
    try:
        return open_tallies(settings.gateway.state)
    except StoreError as error:
        raise SettingsError("gateway.state", str(error)) from error


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


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- the composition root is where the clock comes from


def _epoch() -> float:
    return time.time()  # noqa: TID251 -- as above
