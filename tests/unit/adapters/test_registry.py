import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters import bom
from adapters.errors import (
    CorruptAdapter,
    ManifestError,
    NotServable,
    PreflightError,
    RefConflict,
    RegistryError,
    UnknownRef,
)
from adapters.manifest import tree_digest
from adapters.preflight import Limits, check
from adapters.refs import AdapterRef
from adapters.registry import Registered, Registry
from tests.unit.adapters import making

REF = AdapterRef("acme-test-lora@v1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    making.write_adapter(tmp_path / "made")
    return tmp_path / "made"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "registry"


def _rest(root: Path) -> list[Path]:
    return list((root / "staging").iterdir())


def test_what_was_added_is_found_under_its_ref(source: Path, root: Path) -> None:
    added = Registry(root).add(source)
    assert added.ref == REF
    assert added.digest == tree_digest(source)
    assert Registry(root).get(REF) == added
    assert Registry(root).list() == (added,)
    assert _rest(root) == []


def test_the_path_is_absolute_and_named_by_the_content(
    source: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    added = Registry(Path("registry")).add(source)
    assert added.path == root / "blobs" / added.digest
    assert tree_digest(added.path) == added.digest


def test_adding_again_changes_nothing(source: Path, root: Path) -> None:
    registry = Registry(root)
    first = registry.add(source)
    before = sorted(root.rglob("*"))
    assert registry.add(source) == first
    assert sorted(root.rglob("*")) == before


def test_the_source_may_go_after_adding(source: Path, root: Path) -> None:
    added = Registry(root).add(source)
    for path in source.iterdir():
        path.unlink()
    assert Registry(root).verify(REF) == added


def _other_weights(source: Path) -> None:
    making.write_adapter(source, given=making.tensors("F16"))


def _other_claims(source: Path) -> None:
    making.write_adapter(source, facts=making.run(seed=8))


def _other_card(source: Path) -> None:
    (source / "README.md").write_text("better words")


@pytest.mark.parametrize("change", [_other_weights, _other_claims, _other_card])
def test_a_ref_is_bound_to_weights_manifest_and_card(
    source: Path, root: Path, change: Callable[[Path], None]
) -> None:
    registry = Registry(root)
    first = registry.add(source)
    change(source)
    with pytest.raises(RefConflict, match="new version"):
        registry.add(source)
    assert registry.verify(REF) == first
    assert len(list((root / "blobs").iterdir())) == 1


def test_versions_are_listed_by_number(tmp_path: Path, root: Path) -> None:
    for version in (10, 2, 1):
        facts = making.run(f"acme@v{version}")
        making.write_adapter(tmp_path / "made", facts=facts)
        Registry(root).add(tmp_path / "made")
    assert Registry(root).refs() == ("acme@v1", "acme@v2", "acme@v10")


def test_an_unknown_ref_says_what_is_known(source: Path, root: Path) -> None:
    with pytest.raises(UnknownRef, match="registered are: nothing"):
        Registry(root).get(REF)
    Registry(root).add(source)
    with pytest.raises(UnknownRef, match="registered are: acme-test-lora@v1"):
        Registry(root).get(AdapterRef("acme-test-lora@v2"))


def test_files_that_are_no_refs_are_not_listed(source: Path, root: Path) -> None:
    registry = Registry(root)
    registry.add(source)
    (root / "refs" / "notes.json").write_text("{}")
    (root / "refs" / ".tmp-x").write_text("")
    assert registry.refs() == (REF,)


# What is refused.


def test_files_that_are_not_those_of_the_manifest_are_refused(
    source: Path, root: Path
) -> None:
    halves = making.safetensors(making.tensors("F16"))
    (source / "adapter_model.safetensors").write_bytes(halves)
    with pytest.raises(ManifestError, match="seal the adapter again"):
        Registry(root).add(source)
    assert Registry(root).refs() == ()
    assert _rest(root) == []


def test_links_and_extra_files_are_refused_without_a_check(
    source: Path, root: Path
) -> None:
    (source / "README.md").symlink_to("/etc/hostname")
    (source / "extra.bin").write_bytes(b"")
    with pytest.raises(PreflightError) as caught:
        Registry(root).add(source)
    assert len(caught.value.problems) == 2


def test_what_says_that_it_cannot_be_served_is_not_registered(
    tmp_path: Path, root: Path
) -> None:
    facts = making.run(servable=False, not_servable_because="all weights are tuned")
    making.write_adapter(tmp_path / "full", facts=facts)
    with pytest.raises(NotServable, match="because all weights are tuned"):
        Registry(root).add(tmp_path / "full")
    assert Registry(root).refs() == ()


def test_the_ml_bom_is_registered_with_the_rest(source: Path, root: Path) -> None:
    bom.write(source)
    assert (Registry(root).add(source).path / "bom.json").is_file()


def test_a_file_larger_than_the_limit_is_refused(source: Path, root: Path) -> None:
    with pytest.raises(PreflightError, match="at most 10"):
        Registry(root, Limits(largest_weights=10)).add(source)


def test_the_check_sees_the_copy_and_decides(source: Path, root: Path) -> None:
    seen: list[Path] = []

    def refuse(directory: Path) -> None:
        seen.append(directory)
        check(directory, making.BASE_CONFIG, "0" * 64, Limits())

    with pytest.raises(PreflightError, match="the base that is served"):
        Registry(root).add(source, refuse)
    assert seen[0].is_relative_to(root)
    assert Registry(root).refs() == ()
    assert _rest(root) == []


def test_a_source_that_changes_during_the_check_is_registered_as_it_was_checked(
    source: Path, root: Path
) -> None:
    before = tree_digest(source)
    added = Registry(root).add(source, lambda _: _other_weights(source))
    assert added.digest == before
    assert Registry(root).verify(REF).digest == before


# What is noticed.


def _stored(root: Path, name: str) -> Path:
    (blob,) = (root / "blobs").iterdir()
    (blob / name).chmod(0o644)
    return blob / name


def _shorten(root: Path) -> None:
    path = _stored(root, "adapter_model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])


def _remove(root: Path) -> None:
    _stored(root, "adapter_config.json").unlink()


def _intrude(root: Path) -> None:
    _stored(root, "manifest.json").with_name("extra").write_text("")


def _claim(root: Path) -> None:
    path = _stored(root, "manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"seed": 7', b'"seed": 9'))


def _rebind(root: Path) -> None:
    path = root / "refs" / f"{REF}.json"
    path.write_text(path.read_text().replace('"digest": "', '"digest": "f', 1))


def _rename(root: Path) -> None:
    path = root / "refs" / f"{REF}.json"
    path.write_text(path.read_text().replace("lora@v1", "lora@v3"))


@pytest.mark.parametrize(
    "damage", [_shorten, _remove, _intrude, _claim, _rebind, _rename]
)
def test_damage_is_noticed_when_a_ref_is_looked_up(
    source: Path, root: Path, damage: Callable[[Path], None]
) -> None:
    Registry(root).add(source)
    damage(root)
    with pytest.raises(CorruptAdapter, match="restore the files"):
        Registry(root).get(REF)


def test_a_flipped_bit_is_noticed_by_verify_and_by_adding_again(
    source: Path, root: Path
) -> None:
    Registry(root).add(source)
    path = _stored(root, "adapter_model.safetensors")
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    Registry(root).get(REF)
    with pytest.raises(CorruptAdapter, match="other bytes"):
        Registry(root).verify(REF)
    with pytest.raises(CorruptAdapter, match="other bytes"):
        Registry(root).add(source)


# Several at once, and crashes.


def test_of_many_who_add_other_bytes_under_one_ref_one_wins(
    tmp_path: Path, root: Path
) -> None:
    sources = [tmp_path / f"made-{seed}" for seed in range(6)]
    for seed, path in enumerate(sources):
        making.write_adapter(path, facts=making.run(seed=seed))

    def add(path: Path) -> Registered | RefConflict:
        try:
            return Registry(root).add(path)
        except RefConflict as error:
            return error

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(add, sources))
    (winner,) = (one for one in results if isinstance(one, Registered))
    assert Registry(root).verify(REF) == winner
    assert _rest(root) == []


def test_many_who_add_the_same_bytes_get_the_same_answer(
    source: Path, root: Path
) -> None:
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(Registry(root).add, [source] * 6))
    assert len({result.path for result in results}) == 1


def _add_and_die(source: Path, root: Path, at: int) -> bool:
    """Add in a child that is gone at its at-th operation on the registry's files."""
    child = os.fork()
    if child == 0:
        count = 0

        def die(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            touched = any(str(root) in str(argument) for argument in arguments)
            if touched and event.startswith(("open", "os.", "shutil.")):
                count += 1
                if count == at:
                    os._exit(9)

        sys.addaudithook(die)
        Registry(root).add(source)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 9


def test_a_crash_at_any_point_leaves_nothing_or_all(
    source: Path, tmp_path: Path
) -> None:
    at, died = 0, True
    outcomes: set[bool] = set()
    while died:
        at += 1
        root = tmp_path / f"registry-{at}"
        died = _add_and_die(source, root, at)
        registry = Registry(root)
        present = registry.refs() == (REF,)
        outcomes.add(present)
        if present:
            registry.verify(REF)
        else:
            with pytest.raises(UnknownRef):
                registry.get(REF)
        assert registry.add(source) == registry.verify(REF)
        assert _rest(root) == []
        assert list((root / "refs").iterdir()) == [root / "refs" / f"{REF}.json"]
    assert at > 20
    assert outcomes == {True, False}


def test_a_file_in_the_place_of_a_directory_is_an_error_and_no_registration(
    source: Path, root: Path
) -> None:
    root.mkdir()
    (root / "blobs").write_text("")
    with pytest.raises(OSError, match="blobs"):
        Registry(root).add(source)
    with pytest.raises(RegistryError):
        Registry(root).get(REF)


FULL = """
import resource, sys
from pathlib import Path
from adapters.registry import Registry
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    Registry(Path(sys.argv[2])).add(Path(sys.argv[1]))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 100, 5_000])
def test_a_disk_that_takes_no_more_leaves_no_registration_and_no_rest(
    source: Path, root: Path, room: int
) -> None:
    """The kernel's own refusal of a write, by a limit on a file's size."""
    argv = [sys.executable, "-c", FULL, str(source), str(root), str(room)]
    said = subprocess.run(  # noqa: S603 -- our own interpreter
        argv, capture_output=True, text=True, check=True
    )
    assert "File too large" in said.stdout
    assert Registry(root).refs() == ()
    assert list((root / "staging").iterdir()) == []
    assert list((root / "blobs").iterdir()) == []
    assert Registry(root).add(source).ref == Registry(root).refs()[0]
