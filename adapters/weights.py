"""The tensors of a LoRA against the shapes of its base.

vLLM does not compare shapes: smaller matrices load silently, larger ones throw
after a live adapter was evicted, and names that match nothing serve the base.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from adapters.errors import PreflightError, TensorFileError
from adapters.floats import count_non_finite, is_all_zero
from adapters.manifest import DTYPES, WEIGHTS
from adapters.safetensors import Tensor, read_header

_NAME: Final = re.compile(
    r"base_model\.model\.model\.layers\.(0|[1-9][0-9]{0,3})"
    r"\.(self_attn|mlp)\.([a-z_]+)\.lora_([AB])\.weight",
    re.ASCII,
)
_Size = Annotated[int, msgspec.Meta(ge=1)]


class _Dimensions(msgspec.Struct, frozen=True):
    """The fields of a Llama-type config.json that give the shapes."""

    hidden_size: _Size
    intermediate_size: _Size
    num_hidden_layers: _Size
    num_attention_heads: _Size
    num_key_value_heads: _Size | None = None
    head_dim: _Size | None = None


class BaseShapes(msgspec.Struct, frozen=True):
    """How many layers a base has, and (inputs, outputs) of each linear in one."""

    layers: int
    modules: dict[str, tuple[int, int]]


def base_shapes(base_config: Mapping[str, Any]) -> BaseShapes:
    """Derive the shapes of a Llama-type base from its config.json.

    Raises:
        PreflightError: a dimension is missing or no positive number.
    """
    try:
        given = msgspec.convert(dict(base_config), _Dimensions)
    except msgspec.ValidationError as error:
        raise PreflightError([f"the base's config.json: {error}"]) from error
    hidden, inner = given.hidden_size, given.intermediate_size
    head = given.head_dim or hidden // given.num_attention_heads
    queries = head * given.num_attention_heads
    keys = head * (given.num_key_value_heads or given.num_attention_heads)
    return BaseShapes(
        given.num_hidden_layers,
        {
            "self_attn.q_proj": (hidden, queries),
            "self_attn.k_proj": (hidden, keys),
            "self_attn.v_proj": (hidden, keys),
            "self_attn.o_proj": (queries, hidden),
            "mlp.gate_proj": (hidden, inner),
            "mlp.up_proj": (hidden, inner),
            "mlp.down_proj": (inner, hidden),
        },
    )


def weight_problems(
    path: Path, base: BaseShapes, rank: int, target_modules: Iterable[str]
) -> list[str]:
    """List what is wrong with an adapter's tensors; nothing means fit to serve.

    Args:
        path: the .safetensors file.
        base: the shapes to fit.
        rank: r of the adapter's configuration.
        target_modules: the modules that it says it adapts.
    """
    try:
        tensors = read_header(path)
    except TensorFileError as error:
        return [f"{WEIGHTS}: {problem}" for problem in error.problems]
    if not tensors:
        return [f"{WEIGHTS}: no tensors; expected lora_A and lora_B of each module"]
    targets = frozenset(target_modules)
    problems = [
        f"{WEIGHTS}: {tensor.name!r}: {problem}"
        for tensor in tensors
        for problem in _tensor_problems(tensor, base, rank, targets)
    ]
    problems += _pair_problems(tensors, targets)
    return problems + _value_problems(path, tensors)


def _tensor_problems(
    tensor: Tensor, base: BaseShapes, rank: int, targets: frozenset[str]
) -> list[str]:
    problems: list[str] = []
    if tensor.dtype not in DTYPES:
        problems.append(f"dtype {tensor.dtype}; expected one of {', '.join(DTYPES)}")
    found = _NAME.fullmatch(tensor.name)
    if found is None:
        problems.append(
            "no LoRA weight; expected base_model.model.model.layers.N."
            "(self_attn|mlp).MODULE.lora_(A|B).weight"
        )
        return problems
    layer, block, module, side = found.groups()
    if int(layer) >= base.layers:
        problems.append(f"layer {layer}; the base has 0 to {base.layers - 1}")
    shape = base.modules.get(f"{block}.{module}")
    if shape is None:
        known = ", ".join(base.modules)
        return [*problems, f"no module {block}.{module}; the base has {known}"]
    if module not in targets:
        problems.append(f"{module} is not among the target_modules of the config")
    expected = (rank, shape[0]) if side == "A" else (shape[1], rank)
    if tensor.shape != expected:
        problems.append(f"shape {tensor.shape}; the base and r need {expected}")
    return problems


def _pair_problems(tensors: Iterable[Tensor], targets: frozenset[str]) -> list[str]:
    sides: defaultdict[str, set[str]] = defaultdict(set)
    adapted: set[str] = set()
    for tensor in tensors:
        if found := _NAME.fullmatch(tensor.name):
            sides[tensor.name.rpartition(".lora_")[0]].add(found[4])
            adapted.add(found[3])
    problems = [
        f"{WEIGHTS}: {module} has lora_{min(present)} without its other half"
        for module, present in sides.items()
        if present != {"A", "B"}
    ]
    if missing := sorted(targets - adapted):
        problems.append(
            f"{WEIGHTS}: no tensors for the target_modules {', '.join(missing)}"
        )
    return problems


def _value_problems(path: Path, tensors: Iterable[Tensor]) -> list[str]:
    problems: list[str] = []
    zero: dict[str, bool] = {}
    with path.open("rb") as file:
        for tensor in tensors:
            if tensor.dtype not in DTYPES:
                continue
            file.seek(tensor.start)
            data = file.read(tensor.end - tensor.start)
            if count := count_non_finite(data, tensor.dtype):
                problems.append(
                    f"{WEIGHTS}: {tensor.name!r}: {count} values are NaN or infinite"
                )
            # B·A is zero as soon as one of the two is.
            module = tensor.name.rpartition(".lora_")[0]
            zero[module] = zero.get(module, False) or is_all_zero(data, tensor.dtype)
    if zero and all(zero.values()):
        problems.append(
            f"{WEIGHTS}: in each module lora_A or lora_B is zero throughout:"
            " the adapter equals its base"
        )
    return problems
