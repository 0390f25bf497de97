import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from adapters.claims import Cost, Data
from adapters.errors import ManifestError, TensorFileError
from adapters.files import files_digest, value_digest
from adapters.manifest import Metric, decode, encode, load, tree_digest, write
from adapters.refs import AdapterRef
from adapters.sealing import seal
from tests.unit.adapters import making

SHIPPED = sorted((Path(__file__).parents[3] / "models").iterdir())


def test_sealing_states_what_the_files_say(tmp_path: Path) -> None:
    manifest = making.write_adapter(tmp_path)
    assert manifest.r == making.RANK
    assert manifest.lora_alpha == 16
    assert manifest.dtype == "float32"
    assert manifest.target_modules == ("down_proj", "q_proj", "v_proj")
    assert set(manifest.files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert manifest.digest == files_digest(manifest.files)


def test_a_sealed_manifest_reads_back_as_it_was(tmp_path: Path) -> None:
    manifest = making.write_adapter(tmp_path)
    assert load(tmp_path) == manifest
    assert isinstance(load(tmp_path).ref, AdapterRef)


def test_sealing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    first = (tmp_path / "manifest.json").read_bytes()
    seal(tmp_path, making.run())
    assert (tmp_path / "manifest.json").read_bytes() == first


def test_sealing_leaves_no_temporary_file(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
    ]


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_sealing_needs_both_files(tmp_path: Path, name: str) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ManifestError, match=f"{name}: missing"):
        seal(tmp_path, making.run())


def test_sealing_refuses_weights_that_are_no_safetensors_file(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(TensorFileError):
        seal(tmp_path, making.run())


def test_sealing_refuses_weights_of_two_types(tmp_path: Path) -> None:
    mixed = [*making.tensors(), making.ones("more", (1, 1), "F16")]
    with pytest.raises(ManifestError, match="F16, F32; expected one of"):
        making.write_adapter(tmp_path, given=mixed)


def test_sealing_refuses_a_metric_that_is_no_number(tmp_path: Path) -> None:
    facts = making.run(metrics={"loss": Metric(float("nan"), 3)})
    with pytest.raises(ManifestError, match="value"):
        making.write_adapter(tmp_path, facts=facts)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ref": "../x"}, r"expected name@vN.*\$\.ref"),
        ({"ref": 7}, r"model ref.*\$\.ref"),
        ({"base": {"ref": "m@v1", "digest": "0" * 64}}, r"name@X\.Y.*\$\.base\.ref"),
        ({"digest": "0" * 64}, "digest is not the digest over files"),
        ({"digest": "0" * 64 + "\n"}, r"\$\.digest"),
        ({"config": {"epochs": 3}}, "config_digest"),
        ({"files": {}}, "files must be exactly"),
        ({"schema_version": 2}, r"\$\.schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"method": "ppo"}, r"\$\.method"),
        ({"licence": ""}, r"\$\.licence"),
        ({"licence": "MIT\n"}, r"regex.*\$\.licence"),
        ({"created": "2026-11-22T21:00:00"}, r"\$\.created"),
        ({"r": 0}, r"\$\.r"),
        ({"lora_alpha": 0}, r"\$\.lora_alpha"),
        ({"parent": "acme-test-lora@v1"}, "its own parent"),
        ({"seed": None}, r"\$\.seed"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    making.write_adapter(tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text())
    document.update(change)
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ManifestError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b"[" * 100_000, b'{"ref":"\xff"}', b" " * (1 << 20) + b"{}"],
)
def test_a_manifest_that_is_no_json_object_is_refused(
    tmp_path: Path, raw: bytes
) -> None:
    (tmp_path / "manifest.json").write_bytes(raw)
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        load(tmp_path)


def test_a_missing_manifest_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=str(tmp_path)):
        load(tmp_path)


def test_the_tree_digest_changes_with_any_byte_of_any_file(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "README.md").write_text("card")
    seen = {tree_digest(tmp_path)}
    for path in tmp_path.iterdir():
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        seen.add(tree_digest(tmp_path))
        path.write_bytes(before)
    assert len(seen) == 5
    assert tree_digest(tmp_path) in seen


def test_a_tree_with_a_link_or_a_directory_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc/hostname")
    with pytest.raises(ManifestError, match="a: is no regular file"):
        tree_digest(tmp_path)
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    with pytest.raises(ManifestError, match="a: is no regular file"):
        tree_digest(tmp_path)


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: path.name)
def test_shipped_manifests_are_written_as_they_are(directory: Path) -> None:
    manifest = load(directory)
    assert encode(manifest) == (directory / "manifest.json").read_bytes()


def test_what_came_later_is_left_away_while_it_says_nothing(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text())
    assert not {"servable", "not_servable_because", "cost", "golden"} & set(document)
    assert set(document["data"]) == {"digest", "examples", "generator"}


def test_a_manifest_that_says_everything_reads_back_as_it_was(tmp_path: Path) -> None:
    manifest = making.write_adapter(tmp_path, facts=making.everything())
    assert load(tmp_path) == manifest


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"servable": False}, "not_servable_because says why"),
        ({"not_servable_because": "it is large"}, "not_servable_because says why"),
        ({"cost": Cost(1.0, "", 2.0)}, "say how energy_kwh was come by"),
        ({"data": Data("0" * 64, 1, "x", languages=())}, "languages is empty"),
        ({"data": Data("0" * 64, 1, "x", languages=("English",))}, "languages"),
    ],
)
def test_claims_that_do_not_hold_together_are_not_sealed(
    tmp_path: Path, facts: dict[str, Any], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        making.write_adapter(tmp_path, facts=making.run(**facts))


def test_what_is_not_servable_is_sealed_with_the_files_that_it_has(
    tmp_path: Path,
) -> None:
    making.write_adapter(tmp_path / "lora")
    made = tmp_path / "full"
    made.mkdir()
    weights = (tmp_path / "lora" / "adapter_model.safetensors").read_bytes()
    (made / "model.safetensors").write_bytes(weights)
    (made / "config.json").write_text("{}")
    (made / "README.md").write_text("a card of before")
    facts = making.run(servable=False, not_servable_because="all weights are tuned")
    manifest = seal(made, facts)
    assert set(manifest.files) == {"model.safetensors", "config.json"}
    assert manifest.r is None
    assert load(made) == manifest


def test_a_servable_manifest_without_a_rank_is_refused(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text())
    del document["r"]
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ManifestError, match="only a LoRA is servable"):
        load(tmp_path)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@making.PATIENT
@given(config=st.dictionaries(st.text(max_size=8), _VALUES, max_size=4), text=st.text())
def test_any_config_and_any_text_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], text: str
) -> None:
    directory = tmp_path_factory.mktemp("adapter")
    manifest = making.write_adapter(
        directory, facts=making.run(config=config, command=text)
    )
    assert decode(encode(manifest)) == manifest


@making.PATIENT
@given(st.dictionaries(st.text(max_size=4), st.integers(0, 3), max_size=5))
def test_a_value_digest_does_not_depend_on_the_order_of_keys(
    value: dict[str, int],
) -> None:
    assert value_digest(value) == value_digest(dict(reversed(value.items())))


def test_a_manifest_that_contradicts_itself_is_not_written(tmp_path: Path) -> None:
    manifest = making.write_adapter(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    broken = msgspec.structs.replace(manifest, digest="0" * 64)
    with pytest.raises(ManifestError, match="digest"):
        write(tmp_path, broken)
    assert (tmp_path / "manifest.json").read_bytes() == before
