"""What both planes of a gateway stand on, made out of its settings; nothing is opened."""

import asyncio
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from adapters.lifecycle import State
from adapters.registry import Registry
from gateway.control.actions import Actions, Demands
from gateway.control.changes import Changes, Removed
from gateway.control.counting import Counting
from gateway.control.documents import Refresher, seeded
from gateway.control.follower import Follower
from gateway.control.last_known import keeper, load as load_last_known
from gateway.control.leader import Leader
from gateway.control.preflight import ready
from gateway.control.presence import Presence
from gateway.control.reconcile import Reconciler
from gateway.control.rollouts import Clock, Rollouts
from gateway.engine.vllm import VllmReplica
from gateway.errors import SettingsError
from gateway.fleet import Fleet
from gateway.keep.files import Files, obstacle
from gateway.keep.keeper import Keeper
from gateway.live import Live, Present
from gateway.place import Place
from gateway.settings import Settings
from gateway.telemetry.exposition import Telemetry, new_registry
from gateway.telemetry.kept import KeptCounters
from gateway.telemetry.log import JsonLinesSink
from gateway.telemetry.prometheus import PrometheusSink
from gateway.telemetry.state import StateGauges
from gateway.telemetry.workers import share, shared_registry
from routing.errors import StoreError
from routing.flags import FlagDocument
from routing.store import Store
from routing.stores import open_store, open_tallies
from routing.tallies import Tallies


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
    """What requests are counted in."""
    shown: Telemetry
    """What `/metrics` answers; of several workers the first one's shows all."""
    log: JsonLinesSink
    gauges: StateGauges
    counters: PrometheusSink
    keeper: Keeper | None
    changes: Changes
    tallies: Tallies
    counting: Counting
    rollouts: Rollouts
    presence: Presence
    leader: Leader
    """Of the first worker: tells the others, if there are any."""
    follower: Follower | None
    """Of another worker: goes by what the first one says."""
    begun: asyncio.Event
    """Set once what the store and the other workers know is known here."""


def built(settings: Settings, place: Place | None) -> Parts:
    """Make the parts.

    Args:
        settings: checked.
        place: of a worker among several.

    Raises:
        SettingsError: the store's URL names none, or what is to be kept cannot be.
    """
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
        max_in_flight=-(-engine.max_in_flight // settings.gateway.workers),
        isolation=settings.isolation,
    )
    registry = Registry(Path(settings.registry.path))
    if place is not None:
        share(place.directory, place.index)
    telemetry = shown = new_registry()
    leader = _leader(settings, live, fleet, place)
    if place is not None:
        shown = shared_registry(place.directory, leader.pids)
    gauges = StateGauges(shown, states=[state.value for state in State])
    store = _store(settings)
    counters = PrometheusSink(
        telemetry,
        tenants=list(settings.tenants),
        surfaces=list(settings.surfaces),
        models=[engine.base, *settings.generators.values()],
    )
    tallies = _tallies(settings)
    presence = Presence(tallies, live, _name(settings))
    log = JsonLinesSink(FileIO(sys.stdout.fileno(), "ab", closefd=False), clock=epoch)
    taken = _taken(presence, log, last_known)
    refresher = Refresher(store, live, seed, keep=taken)
    changes = Changes(store, live, refresher, wall_clock, partial(_removed, log))
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
            Actions(fleet, registry, _demands(settings)),
            max_loras=engine.max_loras,
            poll_seconds=engine.poll_seconds,
        ),
        telemetry=telemetry,
        shown=shown,
        log=log,
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
            clock=Clock(epoch),
        ),
        presence=presence,
        leader=leader,
        follower=_follower(settings, live, fleet, refresher, place),
        begun=asyncio.Event(),
    )


def _demands(settings: Settings) -> Demands:
    """What adapters have to meet.

    Raises:
        SettingsError: the key that has to have signed them is not there.
    """
    named = settings.registry.public_key
    if named is not None and not Path(named).is_file():
        raise SettingsError(
            "registry.public_key", f"{named} is no file; expected a key's PEM"
        )
    return Demands(settings.engine.base, Path(named) if named else None)


def _removed(log: JsonLinesSink, record: Removed) -> None:
    log.event(
        "removed",
        what=record.what,
        who=record.who.name,
        why=record.who.why,
        persisted=record.persisted,
    )


def _taken(
    presence: Presence, log: JsonLinesSink, last_known: Path | None
) -> Callable[[Present], None]:
    """What is done with each present that comes into force here."""
    save = keeper(last_known) if last_known else None
    logged = -1

    def taken(present: Present) -> None:
        nonlocal logged
        presence.wake(present)
        if present.flags_version != logged:
            logged = present.flags_version
            log.flag(logged, presence.name)
        if save is not None:
            save(present)

    return taken


def _leader(
    settings: Settings, live: Live, fleet: Fleet, place: Place | None
) -> Leader:
    def wake() -> None:
        for member in fleet.members:
            member.woken.set()

    return Leader(
        live,
        fleet,
        _name(settings),
        wake=wake,
        directory=place and place.directory,
        others=range(1, place.count) if place else (),
    )


def _follower(
    settings: Settings,
    live: Live,
    fleet: Fleet,
    refresher: Refresher,
    place: Place | None,
) -> Follower | None:
    if place is None or place.leads:
        return None
    return Follower(
        live,
        fleet,
        _name(settings),
        store_up=lambda: refresher.up,
        directory=place.directory,
        index=place.index,
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
    return Keeper(settings.keep, Files(settings.keep, now=epoch), counts, now=epoch)


def _store(settings: Settings) -> Store:
    try:
        return open_store(settings.gateway.state)
    except StoreError as error:
        raise SettingsError("gateway.state", str(error)) from error


def _name(settings: Settings) -> str:
    """What this process is called towards people: its machine, port and number."""
    return f"{socket.gethostname()} {settings.gateway.listen} {os.getpid()}"


def _tallies(settings: Settings) -> Tallies:
    try:
        return open_tallies(settings.gateway.state)
    except StoreError as error:
        raise SettingsError("gateway.state", str(error)) from error


def wall_clock() -> datetime:
    """Now, in UTC: for what is written down."""
    return datetime.now(UTC)  # noqa: TID251 -- the composition root is where the clock comes from


def epoch() -> float:
    """Now, in seconds since 1970."""
    return time.time()  # noqa: TID251 -- as above
