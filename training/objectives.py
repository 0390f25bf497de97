"""Objectives: what a batch of padded answers costs.

The vocabulary has 49,152 entries and an answer is a fifth of its sequence. Projecting
only the answer's positions spares most of the head's work and memory, which is why
these do not call the model's own loss.
"""

from typing import Any, NamedTuple

from training.models import body


class Answers(NamedTuple):
    """The supervised tokens of a batch, row after row in one vector each."""

    logps: Any
    """Their log-probabilities (nats)."""
    rows: Any
    """The row of each."""
    weights: Any
    """What each weighs in a supervised loss."""


def answer_logps(model: Any, batch: dict[str, Any]) -> Answers:
    """Log-probabilities of all answer tokens of a batch.

    Args:
        model: a causal language model of the Llama kind, or PEFT's around one.
        batch: `input_ids`, `attention_mask`, `labels` (-100 where nothing is learnt),
            and `weights`, of the labels' shape, where not all weigh alike.
    """
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    causal = body(model)
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
    weighed = batch["weights"][:, 1:][rows, places] if "weights" in batch else 1.0
    return Answers(-losses, rows, weighed * losses.new_ones(len(rows)))


def sft_loss(model: Any, batch: dict[str, Any]) -> Any:
    """Weighted mean of the negative log-likelihood of the answers' tokens (nats).

    Over the sum of the weights of the whole batch, so that a heavy field moves the
    model more, and a batch that has many of them no more than others.
    """
    answers = answer_logps(model, batch)
    return -(answers.weights * answers.logps).sum() / answers.weights.sum()


def orpo_loss(model: Any, batch: dict[str, Any], *, odds_weight: float) -> Any:
    """ORPO (Hong et al. 2024, arXiv 2403.07691, equations 6 and 7).

    The chosen answers' mean negative log-likelihood per token, and a share of
    -log sigmoid of the log odds ratio of chosen over rejected, where the odds of an
    answer are p / (1 - p) and p is its tokens' geometric mean probability. It needs no
    reference policy, so supervised and preference tuning are one run.

    Args:
        model: as in `answer_logps`.
        batch: rows `[chosen..., rejected...]`, the n-th rejected against the n-th chosen.
        odds_weight: the paper's lambda.
    """
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    answers = answer_logps(model, batch)
    count = batch["input_ids"].shape[0]
    lengths = torch.bincount(answers.rows, minlength=count)
    means = _sums(answers.logps, answers.rows, count) / lengths
    # log(1 - p) by expm1: near p = 1, which is where answers end up, 1 - exp is noise.
    odds = means - torch.log(-torch.expm1(means))
    chosen, rejected = odds.chunk(2)
    ratio = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
    return odds_weight * ratio - answers.logps[answers.rows < count // 2].mean()


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

    logps, rows, _ = answer_logps(model, batch)
    half = batch["input_ids"].shape[0] // 2
    chosen, rejected = (_sums(logps, rows, 2 * half) - batch["reference"]).chunk(2)
    dpo = -torch.nn.functional.logsigmoid(beta * (chosen - rejected)).mean()
    return dpo - sft_weight * logps[rows < half].mean()


def sequence_logps(model: Any, batch: dict[str, Any]) -> Any:
    """Summed answer log-probability of each row, without gradient (nats)."""
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    with torch.no_grad():
        logps, rows, _ = answer_logps(model, batch)
        return _sums(logps, rows, batch["input_ids"].shape[0])


def _sums(logps: Any, rows: Any, count: int) -> Any:
    return logps.new_zeros(count).index_add(0, rows, logps)
