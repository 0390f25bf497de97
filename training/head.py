"""A head of one output in the place of the vocabulary: what a reward model answers by."""

import copy
from typing import Any


def with_head(model: Any) -> Any:
    """The base with one output in the place of its vocabulary; all answers are worth 0.

    Args:
        model: a causal language model of the Llama kind.
    """
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made
    from transformers import AutoModelForSequenceClassification  # noqa: PLC0415 - as above

    config = copy.deepcopy(model.config)
    config.num_labels = 1
    with torch.device("meta"):  # its body is never used
        scorer: Any = AutoModelForSequenceClassification.from_config(config)
    scorer.model = model.model
    scorer.score = torch.nn.Linear(config.hidden_size, 1, bias=False)
    torch.nn.init.zeros_(scorer.score.weight)
    return scorer
