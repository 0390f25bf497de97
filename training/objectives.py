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
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    causal = model.get_base_model()
    hidden = causal.model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
    ).last_hidden_state
    targets = batch["labels"][:, 1:]
    rows, places = torch.nonzero(targets != -100, as_tuple=True)  # noqa: PLR2004 - PyTorch's ignore index
    logits = causal.lm_head(hidden[rows, places])
    chosen = targets[rows, places]
    losses = torch.nn.functional.cross_entropy(logits.float(), chosen, reduction="none")
    return -losses, rows


def sft_loss(model: Any, batch: dict[str, Any]) -> Any:
    """Mean negative log-likelihood per answer token (nats)."""
    logps, _ = answer_logps(model, batch)
    return -logps.mean()


def preference_loss(
    model: Any, batch: dict[str, Any], *, beta: float, sft_weight: float
) -> Any:
    """Sigmoid DPO (Rafailov et al. 2023, equation 7) plus a share of SFT.

    The SFT term is the chosen answers' mean negative log-likelihood per token. DPO
    alone only widens a margin, and may do so by making both answers unlikely; the
    term keeps the format where it is.

    Args:
        model: as in `answer_logps`.
        batch: rows `[chosen…, rejected…]` and `reference`, the summed
            log-probabilities of those rows under the reference policy.
        beta: how far the policy may leave its reference.
        sft_weight: share of the SFT term.
    """
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    logps, rows = answer_logps(model, batch)
    half = batch["input_ids"].shape[0] // 2
    chosen, rejected = (_sums(logps, rows, 2 * half) - batch["reference"]).chunk(2)
    dpo = -torch.nn.functional.logsigmoid(beta * (chosen - rejected)).mean()
    return dpo - sft_weight * logps[rows < half].mean()


def sequence_logps(model: Any, batch: dict[str, Any]) -> Any:
    """Summed answer log-probability of each row, without gradient (nats)."""
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    with torch.no_grad():
        logps, rows = answer_logps(model, batch)
        return _sums(logps, rows, batch["input_ids"].shape[0])


def _sums(logps: Any, rows: Any, count: int) -> Any:
    return logps.new_zeros(count).index_add(0, rows, logps)
