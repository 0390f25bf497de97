"""Small adapters, written by hand: what the tests of this package start from."""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from adapters.claims import About, Cost, Source
from adapters.manifest import (
    BaseModel,
    Data,
    Manifest,
    Metric,
    Run,
    value_digest,
)
from adapters.refs import AdapterRef, BaseRef
from adapters.sealing import seal

PATIENT = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
"""For properties that write files: on a busy machine each example takes long."""

BASE_DIGEST = "b" * 64
BASE_CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 4,
}
RANK = 8
ADAPTER_CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "smollm2-135m-instruct@1.0",
    "r": RANK,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "bias": "none",
    "target_modules": ["q_proj", "v_proj", "down_proj"],
    "init_lora_weights": True,
    "inference_mode": True,
    "modules_to_save": None,
    "rank_pattern": {},
    "use_dora": False,
}
ITEM = {"F32": 4, "F16": 2, "BF16": 2}
ONES = {
    "F32": struct.pack("<f", 1.0),
    "F16": struct.pack("<e", 1.0),
    "BF16": struct.pack("<f", 1.0)[2:],
}

Named = tuple[str, str, Sequence[int], bytes]
"""Name, dtype, shape and bytes of one tensor."""


def ones(name: str, shape: Sequence[int], dtype: str = "F32") -> Named:
    count = 1
    for length in shape:
        count *= length
    return name, dtype, shape, ONES[dtype] * count


def pack(header: object, data: bytes = b"") -> bytes:
    """Write a safetensors file around any header, well-formed or not."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def safetensors(tensors: Sequence[Named]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, dtype, shape, raw in tensors:
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return pack(header, data)


def weight(layer: int, module: str, side: str) -> str:
    block = "mlp" if module in ("gate_proj", "up_proj", "down_proj") else "self_attn"
    return f"base_model.model.model.layers.{layer}.{block}.{module}.lora_{side}.weight"


SHAPES = {"q_proj": (12, 12), "v_proj": (12, 4), "down_proj": (20, 12)}
"""Inputs and outputs of the modules under BASE_CONFIG."""


def tensors(dtype: str = "F32", rank: int = RANK) -> list[Named]:
    found: list[Named] = []
    for layer in range(2):
        for module, (width, height) in SHAPES.items():
            found.append(ones(weight(layer, module, "A"), (rank, width), dtype))
            found.append(ones(weight(layer, module, "B"), (height, rank), dtype))
    return found


def run(ref: str = "acme-test-lora@v1", **changes: Any) -> Run:
    facts: dict[str, Any] = {
        "ref": AdapterRef(ref),
        "base": BaseModel(BaseRef("smollm2-135m-instruct@1.0"), BASE_DIGEST),
        "method": "sft",
        "data": Data(hashlib.sha256(b"data").hexdigest(), 700, "acme-synthetic-1"),
        "config": {"learning_rate": 8e-4, "epochs": 2, "optimizer": "adamw"},
        "command": "python -m training sft --seed 7",
        "seed": 7,
        "created": datetime(2026, 11, 22, 21, 0, tzinfo=UTC),
        "licence": "Apache-2.0",
        "metrics": {
            "adherence": Metric(
                0.98, 150, "held-out", lower=0.95, bound="exact 95 %, one-sided"
            ),
            "final_loss": Metric(0.31, 700),
        },
        "probes": ("Summarise the context.",),
    }
    return Run(**{**facts, **changes})


def everything(ref: str = "acme-test-lora@v1") -> Run:
    """Facts in which nothing is unsaid."""
    source = Source(
        name="tickets",
        licence="CC-BY-4.0",
        consent="contract",
        region="EU",
        personal_data="scrubbed by form and checksum",
        classification="internal",
        owner="ACME Support",
        languages=("en", "de-CH"),
        examples=700,
        digest="d" * 64,
        url="https://data.example/tickets",
    )
    adherence = Metric(
        0.98,
        150,
        "held-out",
        lower=0.95,
        bound="exact 95 %, one-sided",
        evidence="docs/results.md",
    )
    return run(
        ref,
        method="orpo",
        data=Data("c" * 64, 700, "acme", (source,), ("en", "de-CH")),
        licence="MIT OR Apache-2.0",
        parent=AdapterRef("acme-test-parent@v1"),
        metrics={"adherence": adherence, "final_loss": Metric(0.31, 700)},
        about=About("Answers.", "Tests.", ("Small.",), "No filter.", ("Operators.",)),
        cost=Cost(2050.1, "2 cores", 0.011, "2 cores at 10 W assumed, not metered"),
    )


def write_adapter(
    directory: Path,
    *,
    given: Sequence[Named] | None = None,
    config: Mapping[str, Any] | None = None,
    facts: Run | None = None,
) -> Manifest:
    """Write a whole adapter and seal it; by default one that is fit to be served."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = tensors() if given is None else given
    (directory / "adapter_model.safetensors").write_bytes(safetensors(listed))
    merged = {**ADAPTER_CONFIG, **(config or {})}
    (directory / "adapter_config.json").write_text(json.dumps(merged))
    return seal(directory, facts or run())


def any_digest(text: str) -> str:
    return value_digest(text)
