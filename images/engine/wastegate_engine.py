"""A plugin for vLLM on the CPU: adapters' parts for those who asked for them, alone.

vLLM 0.32 marks what belongs to no adapter with the index -1, and its operations for the
CPU use the index as it is: -1 is the last slot. While a slot is free at the end, that is
zeros. Once all are taken, a request for the base that shares a batch with a request for
an adapter is answered with the weights of whatever lies in the last slot. The kernels
for GPUs skip such rows, and so do these.

The same operations copy the weights once for every token of a batch, also for those of
the base. These multiply all tokens in a row that are for one adapter with its weights at
once, and do nothing for the base: `python -m bench operations`.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any


def register() -> None:
    """Put them in place, in every process of vLLM, before a model is loaded.

    Raises:
        RuntimeError: this vLLM names its operations otherwise.
    """
    from vllm.lora.ops import torch_ops  # noqa: PLC0415 -- only vLLM's environment has it
    from vllm.lora.ops.torch_ops import lora_ops  # noqa: PLC0415 -- as above
    from vllm.lora.punica_wrapper import punica_cpu  # noqa: PLC0415 -- as above

    for ours in (
        *(bgmv_shrink, bgmv_expand, bgmv_expand_slice),
        *(sgmv_shrink, sgmv_expand, sgmv_expand_slice),
    ):
        for module in (lora_ops, torch_ops, punica_cpu):
            if not hasattr(module, ours.__name__):
                raise RuntimeError(
                    f"{module.__name__} has no {ours.__name__}: this plugin is for"
                    " vLLM 0.32; see docs/adr/0039-adapters-on-the-cpu.md"
                )
            setattr(module, ours.__name__, ours)


def bgmv_shrink(
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    scaling: float = 1.0,
) -> None:
    """Down to the rank; `inputs` (tokens, hidden), `lora_indices_tensor` (tokens,)."""
    runs = _runs(lora_indices_tensor)
    _set(output_tensor, inputs, lora_b_weights, runs, scaling)


def bgmv_expand(
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    add_inputs: bool = True,  # noqa: FBT001, FBT002 -- vLLM's signature
) -> None:
    """Up from the rank; `inputs` (tokens, rank), `lora_indices_tensor` (tokens,)."""
    runs = _runs(lora_indices_tensor)
    (_add if add_inputs else _set)(output_tensor, inputs, lora_b_weights, runs)


def bgmv_expand_slice(  # noqa: PLR0913, PLR0917 -- vLLM's signature
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,  # noqa: FBT001, FBT002 -- vLLM's signature
) -> None:
    """The same, into some columns of the output: of q, k and v, for one."""
    columns = output_tensor[:, slice_offset : slice_offset + slice_size]
    bgmv_expand(inputs, lora_b_weights, columns, lora_indices_tensor, add_inputs)


def sgmv_shrink(
    inputs: Any,
    lora_a_weights: Any,
    output_tensor: Any,
    _starts: Any,
    seq_len_tensor: Any,
    lora_indices_tensor: Any,
    _batches: int,
    _max_seq_length: int,
    _token_nums: int,
    scaling: float,
) -> None:
    """Down to the rank; an index and a number of tokens for each sequence."""
    runs = zip(lora_indices_tensor.tolist(), seq_len_tensor.tolist(), strict=True)
    _set(output_tensor, inputs, lora_a_weights, runs, scaling)


def sgmv_expand(
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    _starts: Any,
    seq_len_tensor: Any,
    lora_indices_tensor: Any,
    _batches: int,
    _max_seq_length: int,
    _token_nums: int,
    add_inputs: bool = False,  # noqa: FBT001, FBT002 -- vLLM's signature
) -> None:
    """Up from the rank; an index and a number of tokens for each sequence."""
    runs = zip(lora_indices_tensor.tolist(), seq_len_tensor.tolist(), strict=True)
    (_add if add_inputs else _set)(output_tensor, inputs, lora_b_weights, runs)


def sgmv_expand_slice(  # noqa: PLR0913, PLR0917 -- vLLM's signature
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    starts: Any,
    seq_len_tensor: Any,
    lora_indices_tensor: Any,
    batches: int,
    max_seq_length: int,
    token_nums: int,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = False,  # noqa: FBT001, FBT002 -- vLLM's signature
) -> None:
    """The same, into some columns of the output."""
    sgmv_expand(
        inputs,
        lora_b_weights,
        output_tensor[:, slice_offset : slice_offset + slice_size],
        *(starts, seq_len_tensor, lora_indices_tensor),
        *(batches, max_seq_length, token_nums, add_inputs),
    )


def _runs(indices: Any) -> Iterator[tuple[int, int]]:
    """Pairs of a slot and how many tokens in a row are for it."""
    return ((slot, len(list(run))) for slot, run in groupby(indices.tolist()))


def _set(
    output: Any,
    inputs: Any,
    weights: Any,
    runs: Iterable[tuple[int, int]],
    scale: float = 1.0,
) -> None:
    """As `_add`, into rows and columns that were nothing before."""
    output[:, : weights.shape[-2]].zero_()
    _add(output, inputs, weights, runs, scale)


def _add(
    output: Any,
    inputs: Any,
    weights: Any,
    runs: Iterable[tuple[int, int]],
    scale: float = 1.0,
) -> None:
    """Add to each adapter's rows their product with its weights.

    Args:
        output: (tokens, out or more), of the type that is calculated in.
        inputs: (tokens, in)
        weights: (slots, out, in) or (slots, 1, out, in); a vocabulary's padding may make
            `out` longer than a row of the output.
        runs: slot and number of tokens, in the order of the rows; -1 is nobody's slot.
        scale: of the product.
    """
    columns = min(weights.shape[-2], output.shape[1])
    begin = 0
    for slot, tokens in runs:
        end = begin + tokens
        if slot >= 0:
            matrix = weights[slot].view(weights.shape[-2:])[:columns].to(output.dtype)
            rows = inputs[begin:end].to(output.dtype)
            output[begin:end, :columns].addmm_(rows, matrix.T, alpha=scale)
        begin = end
