"""Objectives: what a batch of padded answers costs.

The vocabulary has 49,152 entries and an answer is a fifth of its sequence. Projecting
only the answer's positions spares most of the head's work and memory, which is why
these do not call the model's own loss.
"""

from typing import Any


def answer_logps(model: Any, batch: dict[str, Any]) -> tuple[Any, Any]:
    """Log-probabilities of all answer tokens of a batch.

    Args:
        model: a PEFT causal language model of the Llama kind.
        batch: `input_ids`, `attention_mask`, `labels` (-100 where nothing is learnt).

    Returns:
        The log-probabilities of the supervised tokens, row after row in one vector,
        and the row of each.
    """
    import torch  # noqa: PLC0415 -- heavy, and absent where only data is made

    causal = model.get_base_model()
    hidden = causal.model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
    ).last_hidden_state
    targets = batch["labels"][:, 1:]
    rows, places = torch.nonzero(targets != -100, as_tuple=True)  # noqa: PLR2004 -- PyTorch's ignore index
    logits = causal.lm_head(hidden[rows, places])
    chosen = targets[rows, places]
    losses = torch.nn.functional.cross_entropy(logits.float(), chosen, reduction="none")
    return -losses, rows


def sft_loss(model: Any, batch: dict[str, Any]) -> Any:
    """Mean negative log-likelihood per answer token (nats)."""
    logps, _ = answer_logps(model, batch)
    return -logps.mean()
