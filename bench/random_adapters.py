"""Adapters of noise: small, each with an effect of its own, made of nothing but a name."""

import hashlib
import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from adapters.base import load_base
from adapters.manifest import CONFIG, WEIGHTS, BaseModel, Data, Metric, Run
from adapters.refs import AdapterRef, BaseRef
from adapters.sealing import seal
from adapters.weights import base_shapes

RANK: Final = 8
ALPHA: Final = 16
TARGETS: Final = ("self_attn.q_proj", "self_attn.v_proj")
_SIGN_AND_EXPONENT: Final = bytes((byte & 0x80) | 61 for byte in range(256))
"""High bytes of bfloat16 numbers between 1/32 and 1/8, of either sign."""


def write(directory: Path, ref: str, base: Path) -> None:
    """Write an adapter of noise, the same for the same ref.

    Args:
        directory: where to; made.
        ref: its name and version.
        base: the base model's directory.
    """
    directory.mkdir(parents=True)
    shapes = base_shapes(msgspec.json.decode((base / "config.json").read_bytes()))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for layer in range(shapes.layers):
        for module in TARGETS:
            width, height = shapes.modules[module]
            for side, shape in (("A", (RANK, width)), ("B", (height, RANK))):
                name = f"base_model.model.model.layers.{layer}.{module}.lora_{side}"
                raw = _noise(f"{ref} {name}", shape[0] * shape[1])
                header[f"{name}.weight"] = {
                    "dtype": "BF16",
                    "shape": shape,
                    "data_offsets": (len(data), len(data) + len(raw)),
                }
                data += raw
    head = json.dumps(header).encode()
    (directory / WEIGHTS).write_bytes(struct.pack("<Q", len(head)) + head + data)
    (directory / CONFIG).write_text(json.dumps(_config(base.name)))
    seal(directory, _run(ref, base))


def _noise(name: str, numbers: int) -> bytes:
    drawn = hashlib.shake_256(name.encode()).digest(2 * numbers)
    made = bytearray(drawn)
    made[1::2] = drawn[1::2].translate(_SIGN_AND_EXPONENT)
    return bytes(made)


def _config(base: str) -> dict[str, object]:
    return {
        "base_model_name_or_path": base,
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": [target.rpartition(".")[2] for target in TARGETS],
        "task_type": "CAUSAL_LM",
    }


def _run(ref: str, base: Path) -> Run:
    return Run(
        ref=AdapterRef(ref),
        base=BaseModel(BaseRef(base.name), load_base(base).digest),
        method="sft",
        data=Data(hashlib.sha256(b"").hexdigest(), 0, "noise"),
        config={},
        command="python -m bench cycles",
        seed=0,
        created=datetime(2026, 11, 27, tzinfo=UTC),
        licence="Apache-2.0",
        metrics={"none": Metric(0.0, 0)},
    )
