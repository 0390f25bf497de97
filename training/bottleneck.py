"""Bottleneck adapters: a small MLP behind each layer's own, with a residual around it.

Of Houlsby et al. 2019 (arXiv 1902.00751). PEFT has none, and its registry takes no method that is not in its own list of names. So
the modules are put into the base model here, and saved by themselves. They cannot be
merged into the base's matrices, and vLLM serves LoRA alone: what is made so cannot be
mounted, and its configuration says so.
"""

import json
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from training.errors import DataError

KIND: Final = "BOTTLENECK"
"""In the place of PEFT's `peft_type`, where the pre-flight refuses what is no LoRA."""
WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"


class Bottleneck(nn.Module):
    """Down to `size`, a non-linearity, up again; nothing at first."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        # At first the model says what its base says: training starts from there.
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Any) -> Any:
        """Hidden states in, hidden states out; the shape stays."""
        moved: Any = self.up(nn.functional.gelu(self.down(hidden)))
        return hidden + moved


def with_bottleneck(model: Any, *, size: int) -> Any:
    """Put a bottleneck behind the MLP of each of a Llama-type model's layers.

    Args:
        model: the base; its own weights do not learn from here on.
        size: the bottleneck's width.
    """
    model.requires_grad_(requires_grad=False)
    for layer in model.model.layers:
        layer.mlp = nn.Sequential(layer.mlp, Bottleneck(model.config.hidden_size, size))
    model.bottleneck_size = size
    return model


def has_bottleneck(model: Any) -> bool:
    """Whether there is one in the model."""
    return hasattr(model, "bottleneck_size")


def save(model: Any, directory: Path) -> None:
    """Write the bottlenecks' weights and their configuration."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().contiguous()
        for name, value in model.named_parameters()
        if value.requires_grad
    }
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
    config = {"peft_type": KIND, "size": model.bottleneck_size}
    (directory / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def is_in(directory: Path) -> bool:
    """Whether a directory holds bottlenecks."""
    try:
        return json.loads((directory / CONFIG).read_bytes()).get("peft_type") == KIND
    except (OSError, ValueError, AttributeError):
        return False


def load(model: Any, directory: Path) -> Any:
    """Put saved bottlenecks on a base.

    Raises:
        DataError: they are not of this base, or not whole.
    """
    size = int(json.loads((directory / CONFIG).read_bytes())["size"])
    on = with_bottleneck(model, size=size)
    weights: dict[str, torch.Tensor] = load_file(directory / WEIGHTS)
    wanted = {name for name, value in on.named_parameters() if value.requires_grad}
    if wanted != set(weights):
        raise DataError(
            f"{directory / WEIGHTS} has {len(weights)} tensors, the base takes"
            f" {len(wanted)}: these bottlenecks are of another base"
        )
    on.load_state_dict(weights, strict=False)
    return on
