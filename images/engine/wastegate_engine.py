"""A plugin for vLLM on the CPU: a request for the base gets nothing of an adapter.

vLLM 0.32 marks what belongs to no adapter with the index -1, and its operations for the
CPU use the index as it is: -1 is the last slot. While a slot is free at the end, that is
zeros. Once all are taken, a request for the base that shares a batch with a request for
an adapter is answered with the weights of whatever lies in the last slot. The kernels
for GPUs skip such rows; here their part is set to zero.
"""

import functools
from collections.abc import Callable
from typing import Any

_EXPANDING = ("bgmv_expand", "bgmv_expand_slice")
"""What adds an adapter's part to the output; the `sgmv_` forms call these."""


def register() -> None:
    """Mend the operations, in every process of vLLM, before a model is loaded."""
    from vllm.lora.ops import torch_ops  # noqa: PLC0415 -- only vLLM's environment has it
    from vllm.lora.ops.torch_ops import lora_ops  # noqa: PLC0415 -- as above
    from vllm.lora.punica_wrapper import punica_cpu  # noqa: PLC0415 -- as above

    for name in _EXPANDING:
        operation = getattr(lora_ops, name)
        if hasattr(operation, "__wrapped__"):
            continue
        mended = _without_base(operation)
        for module in (lora_ops, torch_ops, punica_cpu):
            setattr(module, name, mended)


def _without_base(operation: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(operation)
    def mended(
        inputs: Any,
        lora_b_weights: Any,
        output_tensor: Any,
        lora_indices_tensor: Any,
        *more: Any,
        **named: Any,
    ) -> None:
        own = (lora_indices_tensor >= 0).unsqueeze(1).to(inputs.dtype)
        operation(
            inputs * own,
            lora_b_weights,
            output_tensor,
            lora_indices_tensor,
            *more,
            **named,
        )

    return mended
