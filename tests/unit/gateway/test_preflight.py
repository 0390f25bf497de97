"""What a rollout is refused for, told all at once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.refs import AdapterRef
from adapters.registry import Registry
from gateway.control.changes import Changes, Who
from gateway.control.documents import Refresher
from gateway.control.preflight import MOST_SAID, Ground, impossible, missing, ready
from gateway.control.verdicts import Verdicts
from gateway.engine.fake import FakeVllm
from gateway.engine.port import Timeouts
from gateway.engine.vllm import VllmReplica
from gateway.fleet import Fleet
from gateway.live import Live, Present
from routing.flags import FlagDocument
from routing.rollout import Plan, Rollout
from routing.rules import Kill, RolloutRule, Target
from routing.stores.sqlite import SqliteStore
from tests.unit.adapters.making import run, tensors, write_adapter
from tests.verdicts import BASE, FAILED, verdict

V1, V2 = Target("lora", "acme-x@v1"), Target("lora", "acme-x@v2")
REFUSAL = "refusal: 81 % of at least 99 %, n = 650"
TENANTS = tuple(f"tenant-{number}" for number in range(8))


def ground(where: Path, present: Present, fleet: Fleet) -> Ground:
    live, store = Live(present), SqliteStore(where / "state.db")
    changes = Changes(
        store,
        live,
        Refresher(store, live, present),
        lambda: datetime(2026, 11, 27, tzinfo=UTC),
    )
    return Ground(
        live=live,
        registry=Registry(where / "adapters"),
        fleet=fleet,
        verdicts=Verdicts(store, changes, BASE),
        tenants=TENANTS,
        surfaces=("assist", "email"),
    )


@pytest.fixture
def fleet(fake_vllm: FakeVllm) -> Fleet:
    replica = VllmReplica(fake_vllm.url, Timeouts())
    return Fleet([replica], base_name="base", max_in_flight=8)


async def test_an_adapter_that_is_not_registered_is_missing_and_nothing_else_is_said(
    tmp_path: Path, fleet: Fleet
) -> None:
    (said,) = await missing(Plan(V1), ground(tmp_path, Present(FlagDocument()), fleet))
    assert "acme-x@v1" in said


async def test_a_candidate_misses_its_verdict_and_its_mount_and_a_control_its_mount(
    tmp_path: Path, fleet: Fleet
) -> None:
    registry = Registry(tmp_path / "adapters")
    for number, ref in enumerate(("acme-x@v1", "acme-x@v2")):
        source = tmp_path / f"made-{number}"
        write_adapter(source, given=tensors(), facts=run(ref, metrics={}))
        registry.add(source)
    on = ground(tmp_path, Present(FlagDocument()), fleet)
    mount = "acme-x@v{0} is not mounted: wastegate adapter mount acme-x@v{0}"
    none, *rest = await missing(Plan(V2, V1), on)
    assert none.startswith("acme-x@v2 has no verdict of the evals: `python -m evals")
    assert rest == [mount.format(2), mount.format(1)]
    registered = registry.get(AdapterRef("acme-x@v2"))
    failed = verdict("acme-x@v2", registered.digest, FAILED)
    await on.verdicts.file(failed, registered, Who("alice"))
    assert await missing(Plan(V2, V1), on) == (
        f"acme-x@v2 may not ship: the evals say fail ({REFUSAL})",
        *rest,
    )
    passed = verdict("acme-x@v2", registered.digest)
    await on.verdicts.file(passed, registered, Who("alice"))
    assert await missing(Plan(V2, V1), on) == tuple(rest)


def test_without_a_live_replica_nothing_is_ready(fleet: Fleet) -> None:
    assert not ready(fleet, V1)
    assert not ready(fleet, Target())


def test_the_control_has_to_be_what_the_scope_gets(
    tmp_path: Path, fleet: Fleet
) -> None:
    promoted = RolloutRule("ro-0", V1, tenants=frozenset({"tenant-0"}), weight=10_000)
    present = Present(FlagDocument(rollouts=(promoted,)))
    on = ground(tmp_path, present, fleet)
    scope = frozenset({"tenant-0"})
    said = impossible(Plan(V2, tenants=scope), on)
    assert said[0].startswith("tenant-0 on assist gets acme-x@v1 now (by rollout)")
    assert impossible(Plan(V2, V1, tenants=scope), on) == ()


def test_a_canary_in_percent_is_no_control(tmp_path: Path, fleet: Fleet) -> None:
    present = Present(FlagDocument(lora=500), bindings={"lora": "acme-x@v1"})
    assert impossible(Plan(V2), ground(tmp_path, present, fleet)) == ()


def test_who_is_pinned_or_killed_is_no_part_of_it(tmp_path: Path, fleet: Fleet) -> None:
    flags = FlagDocument(
        overrides={"tenant-0": "lora"}, kills=(Kill("tenant", "tenant-1"),)
    )
    assert impossible(Plan(V2), ground(tmp_path, Present(flags), fleet)) == ()


def test_many_that_differ_are_named_only_so_far(tmp_path: Path, fleet: Fleet) -> None:
    present = Present(FlagDocument(default="lora_pref"))
    said = impossible(Plan(V1), ground(tmp_path, present, fleet))
    assert len(said) == MOST_SAID


def test_a_running_rollout_in_the_scope_stands_in_the_way_and_an_ended_does_not(
    tmp_path: Path, fleet: Fleet
) -> None:
    running = Rollout("ro-1", Plan(V1), begun=0.0)
    over = running.after("rolled_back", 1.0)
    for rollout, in_the_way in ((running, True), (over, False)):
        present = Present(FlagDocument(), rollouts={"ro-1": rollout})
        said = impossible(Plan(V1), ground(tmp_path, present, fleet))
        assert bool(said) is in_the_way
