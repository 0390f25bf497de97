import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from adapters.errors import NotServable, PreflightError
from adapters.preflight import Limits, check
from adapters.sealing import seal
from tests.unit.adapters import making
from tests.unit.adapters.making import Named, ones, weight

LIMITS = Limits(max_lora_rank=16)


def _check(directory: Path, **changes: Any) -> None:
    base = {**making.BASE_CONFIG, **changes.pop("base", {})}
    check(
        directory,
        base,
        changes.pop("digest", making.BASE_DIGEST),
        changes.pop("limits", LIMITS),
    )


def _problems(directory: Path, **changes: Any) -> str:
    with pytest.raises(PreflightError) as caught:
        _check(directory, **changes)
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_a_plain_lora_is_fit_in_each_float_type(tmp_path: Path, dtype: str) -> None:
    manifest = making.write_adapter(tmp_path, given=making.tensors(dtype))
    assert check(tmp_path, making.BASE_CONFIG, making.BASE_DIGEST, LIMITS) == manifest


def test_a_card_beside_the_rest_is_fine(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "README.md").write_text("card")
    _check(tmp_path)


def test_what_says_that_it_cannot_be_served_is_refused_for_that_alone(
    tmp_path: Path,
) -> None:
    facts = making.run(servable=False, not_servable_because="it is a bottleneck")
    making.write_adapter(tmp_path, facts=facts)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(NotServable) as caught:
        _check(tmp_path)
    assert caught.value.because == "it is a bottleneck"
    assert "because it is a bottleneck; train a LoRA instead" in str(caught.value)


def test_an_ml_bom_beside_the_rest_is_fine(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "bom.json").write_text("{}")
    _check(tmp_path)


def test_head_dim_follows_from_the_heads_when_the_base_does_not_say(
    tmp_path: Path,
) -> None:
    making.write_adapter(tmp_path)
    _check(tmp_path, base={"head_dim": None})


# The directory.


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adapter_model.bin", "pickle"),
        ("optimizer.pt", "pickle"),
        ("x.PKL", "pickle"),
        ("tokenizer.json", "does not belong"),
        (".hidden", "does not belong"),
        ("new\nline", "does not belong"),
    ],
)
def test_a_file_too_many_is_refused(tmp_path: Path, name: str, message: str) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / name).write_bytes(b"x")
    assert message in _problems(tmp_path)


def test_links_directories_and_pipes_are_refused_unopened(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    (tmp_path / "adapter_config.json").symlink_to("/etc/hostname")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "README.md")
    found = _problems(tmp_path)
    assert "adapter_config.json is a link" in found
    assert "sub is a directory" in found
    assert "README.md is a device, pipe or socket" in found


@pytest.mark.parametrize(
    "name", ["manifest.json", "adapter_config.json", "adapter_model.safetensors"]
)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / name).unlink()
    assert f"{name} is missing" in _problems(tmp_path)


def test_a_directory_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    assert "is no directory" in _problems(tmp_path / "nowhere")


def test_files_beyond_the_limits_are_refused(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "README.md").write_bytes(b" " * ((1 << 20) + 1))
    found = _problems(tmp_path, limits=Limits(largest_weights=100))
    assert "adapter_model.safetensors has" in found
    assert "README.md has 1048577 bytes; at most 1048576" in found


# The configuration.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'; expected one of 'LORA'"),
        ({"r": 7}, "r is 7; expected one of 1, 8, 16"),
        ({"r": 32}, "r is 32; the server takes at most 16"),
        ({"lora_alpha": 1e999}, "no JSON"),
        ({"use_dora": True}, "use_dora is True"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"lora_bias": True}, "lora_bias is True"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"some_future_switch": 1}, "some_future_switch is 1"),
        ({"target_modules": ["q_proj", "conv1d"]}, "names ['conv1d']"),
        ({"task_type": "SEQ_CLS"}, "task_type"),
    ],
    ids=str,
)
def test_what_vllm_would_not_serve_as_trained_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    making.write_adapter(tmp_path, config={})
    merged = {**making.ADAPTER_CONFIG, **changes}
    (tmp_path / "adapter_config.json").write_text(json.dumps(merged))
    assert message in _problems(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"r": None},
        {"r": True},
        {"lora_alpha": 0},
        {"lora_alpha": "16"},
        {"target_modules": "all-linear"},
        {"target_modules": []},
    ],
    ids=str,
)
def test_a_config_without_its_core_is_refused_by_key(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    making.write_adapter(tmp_path)
    merged = {**making.ADAPTER_CONFIG, **changes}
    (tmp_path / "adapter_config.json").write_text(json.dumps(merged))
    (key,) = changes
    assert f"{key} is " in _problems(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"r":8,"r":64}', b"\xff", b"[" * 9999])
def test_a_config_that_two_readers_could_read_differently_is_refused(
    tmp_path: Path, raw: bytes
) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "adapter_config.json").write_bytes(raw)
    assert "adapter_config.json: " in _problems(tmp_path)


# The tensors.


def _swap(name: str, *replacement: Named) -> list[Named]:
    return [one for one in making.tensors() if one[0] != name] + list(replacement)


_Q_A, _Q_B = weight(0, "q_proj", "A"), weight(0, "q_proj", "B")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], "no tensors"),
        (_swap(_Q_A), r"q_proj has lora_B without its other half"),
        (_swap(_Q_B), r"q_proj has lora_A without its other half"),
        (
            _swap(_Q_A, ones(_Q_A, (8, 11))),
            r"shape (8, 11); the base and r need (8, 12)",
        ),
        (
            _swap(_Q_A, ones(_Q_A, (12, 8))),
            r"shape (12, 8); the base and r need (8, 12)",
        ),
        (_swap(_Q_B, ones(_Q_B, (12, 16))), r"(12, 16); the base and r need (12, 8)"),
        (_swap(_Q_B, ones(_Q_B, (96,))), r"shape (96,)"),
        ([*making.tensors(), ones("lm_head.weight", (2, 2))], "no LoRA weight"),
        ([*making.tensors(), ones("../../etc/passwd", (2, 2))], "no LoRA weight"),
        (
            [*making.tensors(), ones(weight(2, "q_proj", "A"), (8, 12))],
            "layer 2; the base",
        ),
        (
            [*making.tensors(), ones(weight(0, "k_proj", "A"), (8, 12))],
            "k_proj is not among the target_modules",
        ),
        (
            [one for one in making.tensors() if "down_proj" not in one[0]],
            "no tensors for the target_modules down_proj",
        ),
        (
            [*making.tensors(), ones(_Q_A.replace("self_attn", "mlp"), (8, 12))],
            "no module mlp.q_proj",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_base_are_refused_by_name(
    tmp_path: Path, tensors: list[Named], message: str
) -> None:
    making.write_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(making.safetensors(tensors))
    assert message in _problems(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_refused_with_its_tensor(
    tmp_path: Path, value: float
) -> None:
    raw = struct.pack("<f", 1.0) * 95 + struct.pack("<f", value)
    making.write_adapter(tmp_path, given=_swap(_Q_A, (_Q_A, "F32", (8, 12), raw)))
    assert f"{_Q_A!r}: 1 values are NaN or infinite" in _problems(tmp_path)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_an_adapter_whose_b_is_zero_throughout_is_refused(
    tmp_path: Path, zero: float
) -> None:
    quiet: list[Named] = [
        (name, dtype, shape, struct.pack("<f", zero) * (len(raw) // 4))
        if "lora_B" in name
        else (name, dtype, shape, raw)
        for name, dtype, shape, raw in making.tensors()
    ]
    making.write_adapter(tmp_path, given=quiet)
    assert "the adapter equals its base" in _problems(tmp_path)


def test_one_silent_module_among_others_is_no_reason_to_refuse(tmp_path: Path) -> None:
    silent: Named = (_Q_B, "F32", (12, 8), bytes(12 * 8 * 4))
    making.write_adapter(tmp_path, given=_swap(_Q_B, silent))
    _check(tmp_path)


def test_integers_are_no_weights(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    wrong: Named = (_Q_A, "I32", (8, 12), bytes(8 * 12 * 4))
    (tmp_path / "adapter_model.safetensors").write_bytes(
        making.safetensors(_swap(_Q_A, wrong))
    )
    assert "dtype I32; expected one of F32" in _problems(tmp_path)


# The manifest, and what it is compared with.


def test_another_base_is_refused(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    assert f"the base that is served has {'0' * 64}" in _problems(
        tmp_path, digest="0" * 64
    )


def test_weights_that_changed_after_sealing_are_refused(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    halves = making.safetensors(making.tensors("F16"))
    (tmp_path / "adapter_model.safetensors").write_bytes(halves)
    assert "adapter_model.safetensors: its sha256" in _problems(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"r": 16}, {"lora_alpha": 32.0}, {"target_modules": ("q_proj",)}],
    ids=str,
)
def test_a_manifest_that_says_otherwise_than_the_config_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    manifest = making.write_adapter(tmp_path)
    document = msgspec.to_builtins(
        msgspec.structs.replace(manifest, **changes), enc_hook=str
    )
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    (key,) = changes
    assert f"manifest.json: {key} is" in _problems(tmp_path)


def test_a_base_without_dimensions_is_said_to_be_the_problem(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    assert "the base's config.json: " in _problems(tmp_path, base={"hidden_size": "x"})


def test_all_reasons_are_listed_at_once(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    merged = {**making.ADAPTER_CONFIG, "use_dora": True}
    (tmp_path / "adapter_config.json").write_text(json.dumps(merged))
    wrong = making.safetensors(_swap(_Q_A, ones(_Q_A, (8, 11))))
    (tmp_path / "adapter_model.safetensors").write_bytes(wrong)
    found = _problems(tmp_path, digest="0" * 64)
    for part in ("use_dora", _Q_A, "its sha256", "the base that is served"):
        assert part in found


def test_a_message_of_hundreds_of_problems_stays_readable() -> None:
    error = PreflightError(f"problem {number}" for number in range(300))
    assert len(error.problems) == 300
    assert len(str(error).splitlines()) == 22
    assert "and 280 more" in str(error)


def _truncate(raw: bytes, at: int, _: int) -> bytes:
    return raw[: at % len(raw)]


def _flip(raw: bytes, at: int, bits: int) -> bytes:
    place = at % len(raw)
    return raw[:place] + bytes([raw[place] ^ bits]) + raw[place + 1 :]


def _extend(raw: bytes, at: int, bits: int) -> bytes:
    return raw + bytes([bits]) * (1 + at % 16)


@making.PATIENT
@given(
    st.sampled_from(["adapter_model.safetensors", "adapter_config.json"]),
    st.sampled_from([_truncate, _flip, _extend]),
    st.integers(0, 1 << 16),
    st.integers(1, 255),
)
def test_no_damage_to_a_file_gets_past_the_check(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    damage: Callable[[bytes, int, int], bytes],
    at: int,
    bits: int,
) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    making.write_adapter(directory)
    raw = (directory / name).read_bytes()
    (directory / name).write_bytes(damage(raw, at, bits))
    with pytest.raises(PreflightError, match=re.escape(name)):
        _check(directory)


def test_sealing_again_after_a_change_makes_a_fit_adapter(tmp_path: Path) -> None:
    making.write_adapter(tmp_path)
    config = {**making.ADAPTER_CONFIG, "lora_alpha": 32}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    seal(tmp_path, making.run())
    _check(tmp_path)
