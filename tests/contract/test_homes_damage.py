"""Every home that is written: what somebody has meddled with there is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.bindings import Binding, decode, describe, encode
from adapters.errors import HomeError
from adapters.files import files_digest
from adapters.homes import open_home
from adapters.preflight import Limits
from tests.contract.homes import BOUND, REF, WEIGHTS, Machine, Place


@pytest.fixture
def meddled(place: Place, one: Machine) -> Place:
    """A home that holds REF, to be meddled with."""
    place.open().publish(one.made())
    return place


def _truncate(place: Place) -> None:
    key = place.blob(WEIGHTS)
    place.write(key, place.read(key)[:-1])


def _lengthen(place: Place) -> None:
    key = place.blob(WEIGHTS)
    place.write(key, place.read(key) + b"x")


def _flip(place: Place) -> None:
    key = place.blob(WEIGHTS)
    raw = place.read(key)
    place.write(key, raw[:-1] + bytes([raw[-1] ^ 1]))


def _flip_card(place: Place) -> None:
    key = place.blob("README.md")
    place.write(key, place.read(key).replace(b"card", b"lie!"))


def _lose(place: Place) -> None:
    place.remove(place.blob("adapter_config.json"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_truncate, "bytes instead of"),
        (_lengthen, "bytes instead of"),
        (_flip, "other bytes"),
        (_flip_card, "README.md has other bytes"),
        (_lose, "adapter_config.json is missing"),
    ],
)
def test_a_damaged_blob_is_refused_and_nothing_is_registered(
    meddled: Place, other: Machine, damage: Callable[[Place], None], says: str
) -> None:
    damage(meddled)
    with pytest.raises(HomeError, match=says) as caught:
        other.pull(meddled.open())
    assert caught.value.home == meddled.url
    assert "push it again" in caught.value.advice
    assert other.registry.refs() == ()


def _with_file(place: Place, name: str) -> None:
    """Bind one more file, with the tree digest that belongs to it, and put it there."""
    bound = decode(place.read(BOUND), REF)
    files = bound.files | {name: bound.files["README.md"]}
    digest = files_digest({each: stored.sha256 for each, stored in files.items()})
    for each in bound.files:
        place.write(f"blobs/{digest}/{each}", place.read(place.blob(each)))
    if name == "evil.bin":
        place.write(f"blobs/{digest}/{name}", place.read(place.blob("README.md")))
    place.write(BOUND, encode(Binding(REF, digest, files)))


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "evil.bin", "", ".", "x\0y"])
def test_a_sound_binding_that_names_a_path_or_an_unknown_file_is_refused_unwritten(
    meddled: Place, other: Machine, tmp_path: Path, name: str
) -> None:
    _with_file(meddled, name)
    into = tmp_path / "into"
    into.mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(HomeError, match=re.escape(f"{name!r}, which no adapter has")):
        meddled.open().fetch(REF, into)
    assert list(into.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(HomeError):
        other.pull(meddled.open())
    assert other.registry.refs() == ()


def test_another_adapter_under_a_ref_is_refused(
    meddled: Place, other: Machine, tmp_path: Path
) -> None:
    forger = Machine(tmp_path / "forger").made(ref="acme-other@v1")
    binding = describe(REF, forger.path)
    for name in binding.files:
        data = (forger.path / name).read_bytes()
        meddled.write(f"blobs/{binding.digest}/{name}", data)
    meddled.write(BOUND, encode(binding))
    with pytest.raises(HomeError, match="bound to the files of acme-other@v1"):
        other.pull(meddled.open())
    assert other.registry.refs() == ()


def _no_json(place: Place) -> None:
    place.write(BOUND, b"{")


def _nothing(place: Place) -> None:
    place.write(BOUND, b"")


def _endless(place: Place) -> None:
    place.write(BOUND, b" " * (1 << 20) + place.read(BOUND))


def _other_digest(place: Place) -> None:
    place.rebind(digest="0" * 64)


def _other_ref(place: Place) -> None:
    place.rebind(ref="acme-test-lora@v2")


def _no_weights(place: Place) -> None:
    bound = json.loads(place.read(BOUND))
    del bound["files"][WEIGHTS]
    place.rebind(files=bound["files"])


@pytest.mark.parametrize(
    "damage", [_no_json, _nothing, _endless, _other_digest, _other_ref, _no_weights]
)
def test_a_binding_that_contradicts_itself_is_refused_by_pull_and_push(
    meddled: Place, one: Machine, other: Machine, damage: Callable[[Place], None]
) -> None:
    damage(meddled)
    with pytest.raises(HomeError, match=BOUND) as caught:
        other.pull(meddled.open())
    assert "restore that file" in caught.value.advice
    with pytest.raises(HomeError, match=BOUND):
        meddled.open().publish(one.registry.get(REF))
    assert other.registry.refs() == ()


def test_a_file_above_the_limit_is_refused_before_it_is_asked_for(
    meddled: Place, tmp_path: Path
) -> None:
    meddled.remove(meddled.blob(WEIGHTS))
    with pytest.raises(HomeError, match="at most 10 are taken"):
        open_home(meddled.url, Limits(largest_weights=10)).fetch(REF, tmp_path)
    assert not (tmp_path / WEIGHTS).exists()
