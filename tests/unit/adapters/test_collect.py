"""Collecting an adapter's files: never one that a replica may still read."""

import threading
from pathlib import Path

import pytest

from adapters.errors import (
    CollectedAdapter,
    ManifestError,
    RefConflict,
    StillRead,
    UnknownRef,
)
from adapters.manifest import Manifest
from adapters.reads import Read
from adapters.refs import AdapterRef
from adapters.registry import Registered, Registry
from tests.unit.adapters.making import run, write_adapter

REF = AdapterRef("acme-test-lora@v1")
URL = "http://127.0.0.1:8000"
OTHER = "http://127.0.0.1:8001"


class Kept:
    """A registry with one adapter in it."""

    def __init__(self, where: Path) -> None:
        self.source = where / "made"
        self.manifest: Manifest = write_adapter(self.source)
        self.books = Registry(where / "registry")
        self.found: Registered = self.books.add(self.source)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_files_that_nobody_was_sent_go_and_the_ref_stays_bound(
    kept: Kept, tmp_path: Path
) -> None:
    size = sum(path.stat().st_size for path in kept.found.path.iterdir())
    assert kept.books.collect(REF, {}) == size
    assert not kept.found.path.exists()
    assert kept.books.refs() == ()
    assert kept.books.list() == ()
    with pytest.raises(CollectedAdapter, match="adding the same bytes again"):
        kept.books.get(REF)
    other = tmp_path / "other"
    write_adapter(other, facts=run(seed=8))
    with pytest.raises(RefConflict):
        kept.books.add(other)


def test_the_same_bytes_bring_it_back(kept: Kept) -> None:
    kept.books.collect(REF, {})
    again = kept.books.add(kept.source)
    assert (again.digest, again.path) == (kept.found.digest, kept.found.path)
    assert kept.books.verify(REF) == again


def test_what_is_gone_or_unknown_is_not_collected_again(kept: Kept) -> None:
    kept.books.collect(REF, {})
    with pytest.raises(CollectedAdapter):
        kept.books.collect(REF, {})
    with pytest.raises(UnknownRef):
        kept.books.collect(AdapterRef("nobody@v1"), {})


SEEN: list[tuple[dict[str, float], str]] = [
    ({}, f"{URL}, which is not seen"),
    ({OTHER: 9.0}, f"{URL}, which is not seen"),
    ({URL: 1.0}, f"{URL}, until its next restart"),
    ({URL: 0.5}, f"{URL}, until its next restart"),
]


@pytest.mark.parametrize(("running", "why"), SEEN)
def test_a_replica_that_was_sent_the_path_keeps_the_files_until_it_starts_anew(
    kept: Kept, running: dict[str, float], why: str
) -> None:
    kept.books.about_to_read(REF, Read(URL, 1.0))
    with pytest.raises(StillRead, match=r"may still be read by") as caught:
        kept.books.collect(REF, running)
    assert why in str(caught.value)
    assert kept.books.verify(REF) == kept.found
    kept.books.collect(REF, {URL: 1.5})


def test_every_replica_counts(kept: Kept) -> None:
    kept.books.about_to_read(REF, Read(URL, 1.0))
    kept.books.about_to_read(REF, Read(OTHER, 1.0))
    kept.books.about_to_read(REF, Read(URL, 1.0))
    with pytest.raises(StillRead) as caught:
        kept.books.collect(REF, {URL: 2.0, OTHER: 1.0})
    assert caught.value.replicas == (f"{OTHER}, until its next restart",)


def test_a_second_registry_object_knows_the_notes(kept: Kept, tmp_path: Path) -> None:
    kept.books.about_to_read(REF, Read(URL, 1.0))
    with pytest.raises(StillRead):
        Registry(tmp_path / "registry").collect(REF, {})


def test_a_damaged_note_keeps_the_files(kept: Kept, tmp_path: Path) -> None:
    kept.books.about_to_read(REF, Read(URL, 1.0))
    (note,) = (tmp_path / "registry" / "reads" / REF).iterdir()
    note.write_text("{")
    with pytest.raises(ManifestError):
        kept.books.collect(REF, {URL: 2.0})
    assert kept.books.verify(REF) == kept.found


def test_nobody_is_sent_the_path_of_collected_files(kept: Kept) -> None:
    kept.books.collect(REF, {})
    with pytest.raises(CollectedAdapter):
        kept.books.about_to_read(REF, Read(URL, 1.0))


def test_a_collection_that_was_cut_off_is_completed_by_the_next(
    kept: Kept, tmp_path: Path
) -> None:
    mark = tmp_path / "registry" / "collected" / REF
    mark.parent.mkdir()
    mark.touch()
    with pytest.raises(CollectedAdapter):
        kept.books.get(REF)
    kept.books.collect(REF, {})
    assert not kept.found.path.exists()


def read(kept: Kept, gate: threading.Barrier, into: dict[str, bool]) -> None:
    gate.wait()
    try:
        kept.books.about_to_read(REF, Read(URL, 1.0))
        into["read"] = True
    except CollectedAdapter:
        into["read"] = False


def test_of_a_reader_and_a_collector_at_once_one_gives_way(tmp_path: Path) -> None:
    for turn in range(40):
        kept = Kept(tmp_path / str(turn))
        outcomes: dict[str, bool] = {}
        gate = threading.Barrier(2)
        reader = threading.Thread(target=read, args=(kept, gate, outcomes))
        reader.start()
        gate.wait()
        try:
            kept.books.collect(REF, {URL: 1.0})
            outcomes["collected"] = True
        except StillRead:
            outcomes["collected"] = False
        reader.join()
        assert not (outcomes["read"] and outcomes["collected"]), turn
        assert kept.found.path.exists() is not outcomes["collected"]
