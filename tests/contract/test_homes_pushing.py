"""Every home that is written: what is pushed there is pulled elsewhere, and stays."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from adapters.errors import CorruptAdapter, RefConflict, UnknownRef
from adapters.homes import Home
from adapters.manifest import tree_digest
from adapters.registry import Registered
from tests.contract.homes import BOUND, REF, WEIGHTS, Machine, Place
from tests.unit.adapters import making


def test_what_one_machine_pushes_another_pulls_with_the_same_digest(
    place: Place, one: Machine, other: Machine
) -> None:
    pushed = one.made()
    place.open().publish(pushed)
    pulled = other.pull(place.open())
    assert (pulled.ref, pulled.digest) == (REF, pushed.digest)
    assert tree_digest(other.registry.verify(REF).path) == pushed.digest


def test_a_home_is_laid_out_as_the_registry_is(place: Place, one: Machine) -> None:
    pushed = one.made()
    place.open().publish(pushed)
    for key, data in place.contents().items():
        assert (one.root / "registry" / key).read_bytes() == data
    assert len(place.keys()) == 5


def test_weights_of_several_parts_come_whole(
    place: Place, one: Machine, other: Machine
) -> None:
    source = one.root / "large"
    large = making.ones("base_model.x.lora_A.weight", (1300, 1300))
    making.write_adapter(source, given=[*making.tensors(), large])
    pushed = one.registry.add(source)
    assert (pushed.path / WEIGHTS).stat().st_size > 6_000_000
    place.open().publish(pushed)
    assert other.pull(place.open()).digest == pushed.digest


def test_an_adapter_without_a_card_is_one_too(
    place: Place, one: Machine, other: Machine
) -> None:
    making.write_adapter(one.root / "bare")
    pushed = one.registry.add(one.root / "bare")
    place.open().publish(pushed)
    assert other.pull(place.open()).digest == pushed.digest


def test_pushing_again_changes_nothing(place: Place, one: Machine) -> None:
    pushed = one.made()
    place.open().publish(pushed)
    before = place.contents()
    place.open().publish(pushed)
    assert place.contents() == before


def test_pushing_again_mends_what_was_damaged(
    place: Place, one: Machine, other: Machine
) -> None:
    pushed = one.made()
    place.open().publish(pushed)
    place.write(place.blob(WEIGHTS), b"damaged")
    place.open().publish(pushed)
    assert other.pull(place.open()).digest == pushed.digest


def test_other_bytes_under_a_bound_ref_are_refused_and_the_first_stay(
    place: Place, one: Machine, other: Machine
) -> None:
    first, second = one.made(seed=1), other.made(seed=2)
    place.open().publish(first)
    before = place.contents()
    with pytest.raises(RefConflict, match="new version") as caught:
        place.open().publish(second)
    assert (caught.value.registered, caught.value.offered) == (
        first.digest,
        second.digest,
    )
    assert place.contents() == before


def test_of_two_who_push_other_bytes_at_once_exactly_one_wins(
    place: Place, one: Machine, other: Machine, tmp_path: Path
) -> None:
    barrier = Barrier(2)

    def won(mine: Registered) -> bool:
        home = place.open()
        barrier.wait(10)
        try:
            home.publish(mine)
        except RefConflict:
            return False
        return True

    for version in range(1, 6):
        ref = f"acme-race@v{version}"
        rivals = [one.made(1, ref), other.made(2, ref)]
        with ThreadPoolExecutor(2) as pool:
            wins = list(pool.map(won, rivals))
        (winner,) = (mine for mine, win in zip(rivals, wins, strict=True) if win)
        third = Machine(tmp_path / f"third-{version}")
        assert third.pull(place.open(), ref).digest == winner.digest


def test_many_who_push_the_same_bytes_at_once_all_succeed(
    place: Place, one: Machine, other: Machine
) -> None:
    pushed = one.made()

    def push(home: Home) -> None:
        home.publish(pushed)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, [place.open() for _ in range(4)]))
    assert other.pull(place.open()).digest == pushed.digest


def test_what_was_interrupted_is_not_there_until_it_is_pushed_again(
    place: Place, one: Machine, other: Machine
) -> None:
    pushed = one.made()
    place.open().publish(pushed)
    place.remove(BOUND)
    place.remove(place.blob(WEIGHTS))
    assert place.open().refs() == ()
    with pytest.raises(UnknownRef, match="registered are: nothing"):
        other.pull(place.open())
    place.open().publish(pushed)
    assert other.pull(place.open()).digest == pushed.digest


def test_blobs_of_an_interrupted_push_do_not_bind_the_ref(
    place: Place, one: Machine, other: Machine
) -> None:
    place.open().publish(one.made(seed=1))
    place.remove(BOUND)
    second = other.made(seed=2)
    place.open().publish(second)
    with pytest.raises(RefConflict):
        place.open().publish(one.registry.get(REF))


def test_an_unknown_ref_says_what_is_there_by_name_and_version(
    place: Place, one: Machine, other: Machine
) -> None:
    for version in (10, 2, 1):
        place.open().publish(one.made(ref=f"acme@v{version}"))
    place.write("refs/notes.json", b"{}")
    assert place.open().refs() == ("acme@v1", "acme@v2", "acme@v10")
    with pytest.raises(UnknownRef, match=r"are: acme@v1, acme@v2, acme@v10"):
        other.pull(place.open(), "acme@v3")


def test_a_damaged_registry_is_not_pushed(place: Place, one: Machine) -> None:
    pushed = one.made()
    weights = pushed.path / WEIGHTS
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptAdapter, match="other bytes"):
        place.open().publish(pushed)
    assert place.keys() == []
