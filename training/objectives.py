"""Objectives: what a batch of padded answers costs.

The vocabulary has 49,152 entries and an answer is a fifth of its sequence. Projecting
only the answer's positions spares most of the head's work and memory, which is why
these do not call the model's own loss.

Every loss here is this process's part of the batch's: over the counts of all processes.
"""

from typing import Any, NamedTuple

from training.models import body
from training.processes import everywhere


class Answers(NamedTuple):
    """The supervised tokens of a batch, row after row in one vector each."""

    logps: Any
    """Their log-probabilities (nats)."""
    rows: Any
    """The row of each."""
    weights: Any
    """What each weighs in a supervised loss."""


def over(batch: dict[str, Any], total: Any, count: Any) -> Any:
    """A batch's sum over a count of it: this process's part of the mean.

    Args:
        batch: with `spare`, where its rows are there to keep step alone.
        total: over the rows of this process.
        count: of what was summed, here: a tensor without gradient.
    """
    live = 0.0 if batch.get("spare") else 1.0
    return total * live / everywhere(count * live)


def answer_logps(
    model: Any, batch: dict[str, Any], *, temperature: float = 1.0
) -> Answers:
    """Log-probabilities of all answer tokens of a batch.

    Args:
        model: a causal language model of the Llama kind, or PEFT's around one.
        batch: `input_ids`, `attention_mask`, `labels` (-100 where nothing is learnt),
            and `weights`, of the labels' shape, where not all weigh alike.
        temperature: of the policy that answers are drawn from.
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
    logits = causal.lm_head(hidden[rows, places]).float()
    if temperature != 1:
        logits = logits / temperature
    chosen = targets[rows, places]
    losses = torch.nn.functional.cross_entropy(logits, chosen, reduction="none")
    weighed = batch["weights"][:, 1:][rows, places] if "weights" in batch else 1.0
    return Answers(-losses, rows, weighed * losses.new_ones(len(rows)))


def sft_loss(model: Any, batch: dict[str, Any]) -> Any:
    """Weighted mean of the negative log-likelihood of the answers' tokens (nats).

    Over the sum of the weights of the whole batch, so that a heavy field moves the
    model more, and a batch that has many of them no more than others.
    """
    answers = answer_logps(model, batch)
    total = (answers.weights * answers.logps).sum()
    return -over(batch, total, answers.weights.sum())


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
    means = sums(answers.logps, answers.rows, count) / lengths
    # log(1 - p) by expm1: near p = 1, which is where answers end up, 1 - exp is noise.
    odds = means - torch.log(-torch.expm1(means))
    chosen, rejected = odds.chunk(2)
    ratio = -_mean(batch, torch.nn.functional.logsigmoid(chosen - rejected))
    supervised = _mean(batch, answers.logps[answers.rows < count // 2])
    return odds_weight * ratio - supervised


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
    chosen, rejected = (sums(logps, rows, 2 * half) - batch["reference"]).chunk(2)
    dpo = -_mean(batch, torch.nn.functional.logsigmoid(beta * (chosen - rejected)))
    return dpo - sft_weight * _mean(batch, logps[rows < half])


def rloo_loss(
    model: Any, batch: dict[str, Any], *, beta: float, samples: int, temperature: float
) -> Any:
    """RLOO (Ahmadian et al. 2024, arXiv 2402.14740, section 3.3 and equation 3).

    Each answer is one action: minus its log-probability, times by how much its reward
    lies above the mean of the others drawn for its prompt. The reward is what the judge
    gives, less beta times the log ratio of the policy to the one that it started as.

    Args:
        model: as in `answer_logps`.
        batch: rows of answers just drawn, those of one prompt together; `rewards` and
            `reference`, the starting policy's summed log-probabilities, of each; `told`,
            to which the mean log ratio, an estimate of the KL, is put as `kl`.
        beta: what a nat away from the start costs.
        samples: answers a prompt, at least two.
        temperature: at which they were drawn; the policy that is moved is that one.
    """
    logps, rows, _ = answer_logps(model, batch, temperature=temperature)
    said = sums(logps, rows, batch["input_ids"].shape[0])
    away = said.detach() - batch["reference"]
    gained = advantages(batch["rewards"] - beta * away, samples=samples)
    batch["told"]["kl"] = _mean(batch, away)
    return -_mean(batch, gained * said)


def advantages(worth: Any, *, samples: int) -> Any:
    """Each answer's worth less the mean of the others of its prompt (leave one out)."""
    grouped = worth.view(-1, samples)
    others = (grouped.sum(1, keepdim=True) - grouped) / (samples - 1)
    return (grouped - others).flatten()


def sequence_logps(
    model: Any, batch: dict[str, Any], *, temperature: float = 1.0
) -> Any:
    """Summed answer log-probability of each row, without gradient (nats)."""
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    with torch.no_grad():
        logps, rows, _ = answer_logps(model, batch, temperature=temperature)
        return sums(logps, rows, batch["input_ids"].shape[0])


def sums(logps: Any, rows: Any, count: int) -> Any:
    """Of the tokens of each of `count` rows."""
    return logps.new_zeros(count).index_add(0, rows, logps)


def _mean(batch: dict[str, Any], values: Any) -> Any:
    return over(batch, values.sum(), values.new_tensor(float(len(values))))
