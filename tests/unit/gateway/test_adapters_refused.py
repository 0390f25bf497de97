"""Adapters that must not be served: refused before a replica was sent a path.

Each is bad in a way that vLLM would load without a word, or stumble over: it is refused
at the registry's door with the file, the tensor and what was expected; and one that got
in by another way is refused by the gateway, before the load.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.errors import AdapterError
from adapters.manifest import BaseModel
from adapters.preflight import Limits, check
from adapters.refs import AdapterRef, BaseRef
from adapters.registry import Registry
from gateway.engine.fake import FakeVllm
from tests.stack import Stack, running
from tests.unit.adapters.making import (
    ADAPTER_CONFIG,
    BASE_CONFIG,
    BASE_DIGEST,
    RANK,
    ones,
    run,
    tensors,
    weight,
    write_adapter,
)
from tests.unit.adapters.test_signature import key_pair, sign
from tests.unit.gateway.conftest import LORA, PREF, Commands, Configured

BAD = AdapterRef("acme-bad@v1")
Made = Callable[[Path], None]
WEIGHTS = "adapter_model.safetensors"
QUERY = weight(0, "q_proj", "B")


def ranked(where: Path) -> None:
    config = {"r": 32, "lora_alpha": 32}
    write_adapter(where, given=tensors(rank=32), config=config, facts=run(BAD))


def shaped(where: Path) -> None:
    given = [
        ones(name, (6, RANK) if name == QUERY else shape, dtype)
        for name, dtype, shape, _ in tensors()
    ]
    write_adapter(where, given=given, facts=run(BAD))


def silent(where: Path) -> None:
    given = [
        (name, dtype, shape, raw if "lora_A" in name else bytes(len(raw)))
        for name, dtype, shape, raw in tensors()
    ]
    write_adapter(where, given=given, facts=run(BAD))


def based(where: Path) -> None:
    base = BaseModel(BaseRef("smollm2-135m-instruct@1.0"), "c" * 64)
    write_adapter(where, facts=run(BAD, base=base))


def cut(where: Path) -> None:
    write_adapter(where, facts=run(BAD))
    path = where / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def pickled(where: Path) -> None:
    write_adapter(where, facts=run(BAD))
    (where / "adapter_model.bin").write_bytes(b"\x80\x04N.")


def linked(where: Path) -> None:
    write_adapter(where, facts=run(BAD))
    (where / WEIGHTS).rename(where.parent / "elsewhere")
    (where / WEIGHTS).symlink_to(where.parent / "elsewhere")


def climbing(where: Path) -> None:
    write_adapter(where, facts=run(BAD))
    (where / "config").mkdir()


def broken(where: Path) -> None:
    given = [
        (name, dtype, shape, b"\x00\x00\xc0\x7f" + raw[4:] if name == QUERY else raw)
        for name, dtype, shape, raw in tensors()
    ]
    write_adapter(where, given=given, facts=run(BAD))


def misnamed(where: Path) -> None:
    given = [
        (name.replace("model.layers", "layers"), *rest) for name, *rest in tensors()
    ]
    write_adapter(where, given=given, facts=run(BAD))  # type: ignore[arg-type]


def changed(where: Path) -> None:
    write_adapter(where, facts=run(BAD))
    path = where / "adapter_config.json"
    path.write_text(path.read_text().replace('"r": 8', '"r": 4'))


REFUSED: list[tuple[Made, tuple[str, ...]]] = [
    (ranked, ("adapter_config.json", "r is 32", "16")),
    (shaped, (WEIGHTS, QUERY, "(6, 8)", f"(12, {RANK})")),
    (silent, (WEIGHTS, "zero throughout", "equals its base")),
    (based, ("manifest.json", "c" * 64, BASE_DIGEST)),
    (cut, (WEIGHTS, "bytes")),
    (pickled, ("adapter_model.bin", "pickle", "safetensors")),
    (linked, (WEIGHTS, "a link", "expected a regular file")),
    (climbing, ("config", "a directory", "expected a regular file")),
    (broken, (WEIGHTS, QUERY, "NaN")),
    (misnamed, (WEIGHTS, "lora_A", "expected base_model.model.model.layers")),
    (changed, ("adapter_config.json", "sha256", "r")),
]


@pytest.mark.parametrize(
    ("made", "says"), REFUSED, ids=[made.__name__ for made, _ in REFUSED]
)
async def test_a_bad_adapter_is_refused_at_the_door_with_file_and_expectation(
    stack: Stack, tmp_path: Path, fake_vllm: FakeVllm, made: Made, says: tuple[str, ...]
) -> None:
    source = tmp_path / "bad"
    made(source)
    with pytest.raises(AdapterError) as caught:
        Registry(tmp_path / "adapters").add(
            source,
            check=lambda stage: check(stage, BASE_CONFIG, BASE_DIGEST, Limits()),
        )
    for part in says:
        assert part in str(caught.value)
    reply = await stack.admin("POST", "adapters", {"ref": BAD})
    assert (reply.status, reply.code) == (404, "not_found")
    assert loaded(fake_vllm) == {LORA, PREF}


def loaded(fake: FakeVllm) -> set[str]:
    """What the engine was ever asked to load."""
    asked = [seen for seen in fake.requests if "/load_lora" in seen.path]
    return {str(seen.body["lora_name"]) for seen in asked}


@pytest.fixture
def smuggled(tmp_path: Path) -> Path:
    """A fit adapter that is registered, and where its files are."""
    source = tmp_path / "bad"
    write_adapter(source, facts=run(BAD))
    return Registry(tmp_path / "adapters").add(source).path


async def refused(stack: Stack, fake: FakeVllm) -> str:
    """Mount it: why it is refused."""
    reply = await stack.admin("POST", "adapters", {"ref": BAD, "wait_seconds": 20})
    assert (reply.status, reply.code) == (409, "conflict"), reply.body
    assert BAD not in loaded(fake)
    return reply.json["error"]["message"]


async def test_files_that_are_swapped_after_the_check_are_not_loaded(
    stack: Stack, fake_vllm: FakeVllm, smuggled: Path
) -> None:
    path = smuggled / WEIGHTS
    raw = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(raw[:-4] + b"\x00\x00\x80\x40")
    said = await refused(stack, fake_vllm)
    assert f"{WEIGHTS} has other bytes" in said


async def test_an_adapter_of_another_base_that_got_in_is_not_loaded(
    stack: Stack, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    source = tmp_path / "bad"
    base = BaseModel(BaseRef("llama-3@1.0"), BASE_DIGEST)
    config = ADAPTER_CONFIG | {"base_model_name_or_path": "llama-3@1.0"}
    write_adapter(source, config=config, facts=run(BAD, base=base))
    Registry(tmp_path / "adapters").add(source)
    said = await refused(stack, fake_vllm)
    assert "made for llama-3@1.0; smollm2-135m-instruct@1.0 is served" in said


@pytest.mark.parametrize("signed", ["not", "by another key", "by the key"])
async def test_only_what_the_configured_key_has_signed_is_loaded(
    configured: Configured, tmp_path: Path, fake_vllm: FakeVllm, signed: str
) -> None:
    ours, public = key_pair(tmp_path, "ours")
    theirs, _ = key_pair(tmp_path, "theirs")
    source = tmp_path / "bad"
    write_adapter(source, facts=run(BAD))
    if signed != "not":
        sign(source, ours if signed == "by the key" else theirs, BAD)
    Registry(tmp_path / "adapters").add(source)
    policy = f'[registry]\npath = "{tmp_path}/adapters"\npublic_key = "{public}"\n'
    async with running(configured(policy)) as stack:
        if signed == "by the key":
            body = {"ref": BAD, "wait_seconds": 20}
            reply = await stack.admin("POST", "adapters", body)
            assert reply.status == 200, reply.body
            assert loaded(fake_vllm) == {BAD}  # the others are unsigned
            return
        said = await refused(stack, fake_vllm)
        assert {
            "not": "model.sig is missing; expected a signature by the key ours.pub",
            "by another key": "model.sig: signed by another key than ours.pub",
        }[signed] in said
        assert loaded(fake_vllm) == set()


async def test_an_adapter_without_a_slot_is_refused_before_anything_changes(
    configured: Configured, tmp_path: Path, fake_vllm: FakeVllm, smuggled: Path
) -> None:
    del smuggled
    async with running(configured("[engine]\nmax_loras = 2\n")) as stack:
        await stack.all_ready()
        said = await refused(stack, fake_vllm)
        assert "3 adapters should be mounted" in said
        assert "the replica has 2 slots; unmount one" in said
        listed = (await stack.admin("GET", "adapters")).json["adapters"]
        assert {each["ref"]: each["desired"] for each in listed}[BAD] == "absent"


async def test_files_are_collected_once_the_replica_has_started_anew(
    stack: Stack, fake_vllm: FakeVllm, commands: Commands, tmp_path: Path
) -> None:
    path = Registry(tmp_path / "adapters").get(AdapterRef(PREF)).path
    code, _, err = await commands("adapter", "collect", PREF)
    assert (code, "is in use: bound to lora_pref; mounted" in err) == (1, True)
    await stack.admin("PUT", "bindings/lora_pref", {"ref": LORA})
    await stack.admin("DELETE", f"adapters/{PREF}")
    code, _, err = await commands("adapter", "collect", PREF)
    assert (code, f"{fake_vllm.url}, until its next restart" in err) == (1, True)
    assert path.is_dir()
    await fake_vllm.restart()
    await stack.seen(fake_vllm.epoch)
    await stack.ready(LORA)
    code, out, err = await commands("adapter", "collect", PREF)
    assert (code, "bytes are free again" in out) == (0, True), err
    assert not path.exists()
    reply = await stack.admin("POST", "adapters", {"ref": PREF})
    assert (reply.status, "were collected" in reply.json["error"]["message"]) == (
        404,
        True,
    )
    Registry(tmp_path / "adapters").add(tmp_path / "made-1")
    reply = await stack.admin("POST", "adapters", {"ref": PREF})
    assert reply.status == 200, reply.body
