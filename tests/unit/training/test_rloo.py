"""RLOO: its objective against two oracles, its draws and what they are worth."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training import draw, judges, models
from training.config import Lora
from training.encode import Encoded, pad
from training.objectives import advantages, rloo_loss, sequence_logps
from training.rank import Rank
from training.rewarded import Rules
from training.rloo import Start

SHAPE = Lora(4, 8, 0.0, ("q_proj", "v_proj", "down_proj"))
RULES = Rules(1.0, 1.0, 1.0, 1.0, 0.5)
HOW = draw.How(temperature=0.9, most=12, end=2)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    importlib.import_module("torch").set_num_threads(1)


@pytest.fixture(scope="module")
def policy(tiny_base: Path) -> Any:
    """The tiny base with an adapter that already does something."""
    import torch  # noqa: PLC0415 - heavy; the data tests need none

    model, _ = models.load_base(tiny_base, seed=0)
    model = models.with_lora(model, SHAPE)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.normal_(std=0.1)
    return model


def random_batch(seed: int, prompts: int, samples: int) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - heavy; the data tests need none

    torch.manual_seed(seed)
    rows: list[Encoded] = []
    for _ in range(prompts):
        prompt = torch.randint(3, 250, (int(torch.randint(2, 9, ())),)).tolist()
        for _ in range(samples):
            answer = torch.randint(3, 250, (int(torch.randint(2, 12, ())),)).tolist()
            rows.append(Encoded(tuple(prompt), tuple(answer)))
    count = prompts * samples
    return pad(rows, pad_id=2) | {
        "rewards": torch.rand(count) * 3,
        "reference": -torch.rand(count) * 20,
        "told": {},
    }


def gradients(model: Any, loss: Any) -> Any:
    import torch  # noqa: PLC0415 - as above

    model.zero_grad()
    loss.backward()
    moved = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat(moved).clone()


def token_logps(model: Any, batch: dict[str, Any], heat: float) -> list[Any]:
    """Of each row's answer, one row at a time, by the model's own head."""
    import torch  # noqa: PLC0415 - as above

    found: list[Any] = []
    for row in range(len(batch["input_ids"])):
        length = int(batch["attention_mask"][row].sum())
        ids = batch["input_ids"][row, :length]
        logps = (model(input_ids=ids[None]).logits[0] / heat).log_softmax(-1)
        answer = [i for i in range(length) if int(batch["labels"][row, i]) != -100]
        found.append(torch.stack([logps[i - 1, int(ids[i])] for i in answer]))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_and_its_gradients_are_those_of_a_plain_reference(
    policy: Any, seed: int
) -> None:
    samples, beta, heat = 3, 0.07, 0.8
    batch = random_batch(seed, 2, samples)
    said = [row.sum() for row in token_logps(policy, batch, heat)]
    worth = [
        float(batch["rewards"][i] - beta * (each.detach() - batch["reference"][i]))
        for i, each in enumerate(said)
    ]
    plain: Any = 0.0
    for i, each in enumerate(said):
        first = i - i % samples
        others = [worth[j] for j in range(first, first + samples) if j != i]
        plain = plain - (worth[i] - sum(others) / len(others)) * each / len(said)
    mine = rloo_loss(policy, batch, beta=beta, samples=samples, temperature=heat)
    # Sums of some forty log-probabilities times an advantage: a relative bound.
    assert float(mine.detach()) == pytest.approx(float(plain.detach()), rel=1e-5)
    mine, plain = gradients(policy, mine), gradients(policy, plain)
    assert float((mine - plain).abs().max()) < 1e-5


@pytest.mark.parametrize("seed", range(4))
def test_the_gradients_are_those_of_trl_where_answers_were_just_drawn(
    policy: Any, seed: int
) -> None:
    import torch  # noqa: PLC0415 - as above

    trl = importlib.import_module("trl")
    samples, beta = 4, 0.05
    batch = random_batch(seed, 2, samples)
    rows = token_logps(policy, batch, 1.0)
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence(
        [torch.ones(len(row)) for row in rows], batch_first=True
    )
    logps = torch.stack([row.sum() for row in rows])
    # TRL's own reckoning in `_generate_and_score_completions`, which is no function.
    worth = batch["rewards"] - beta * (logps.detach() - batch["reference"])
    grouped = worth.view(-1, samples)
    baselines = (grouped.sum(1, keepdim=True) - grouped) / (samples - 1)
    theirs = trl.RLOOTrainer._compute_loss(  # noqa: SLF001 - the oracle is in there
        trainer_around(padded, mask),
        policy,
        {
            "prompt_ids": mask.long(),
            "prompt_mask": mask.long(),
            "completion_ids": mask.long(),
            "completion_mask": mask,
            "old_logps": logps.detach(),
            "advantages": worth - baselines.view(-1),
        },
    )
    mine = rloo_loss(policy, batch, beta=beta, samples=samples, temperature=1.0)
    far = gradients(policy, mine) - gradients(policy, theirs)
    assert float(far.abs().max()) < 1e-5


def trainer_around(logps: Any, mask: Any) -> SimpleNamespace:
    """What TRL's method asks its trainer for."""
    import collections  # noqa: PLC0415 - of this helper alone

    return SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logps, mask, None),
        aux_loss_enabled=False,
        epsilon_low=0.2,
        epsilon_high=0.2,
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(
            reduce=lambda value, **_: value, gather=lambda value: value
        ),
        _metrics={"train": collections.defaultdict(list)},
    )


def test_the_advantages_of_a_prompt_sum_to_nothing() -> None:
    import torch  # noqa: PLC0415 - as above

    found = advantages(torch.tensor([1.0, 2.0, 6.0, 3.0, 3.0, 3.0]), samples=3)
    assert found.tolist() == [-3.0, -1.5, 4.5, 0.0, 0.0, 0.0]


def test_an_answer_is_drawn_from_its_seed_whatever_is_beside_it(policy: Any) -> None:
    import torch  # noqa: PLC0415 - as above

    prompts = [[1, 40, 41, 42, 43], [1, 50], [1, 40, 41, 42, 43]]
    together = draw.left_padded(prompts, pad_id=2)
    alone = draw.left_padded(prompts[1:2], pad_id=2)
    before = torch.random.get_rng_state()
    three = draw.answers(policy.eval(), together, ("a", "b", "c"), HOW)
    assert draw.answers(policy, alone, ("b",), HOW) == three[1:2]
    assert three[0] != three[2]
    assert torch.equal(before, torch.random.get_rng_state())


def test_draws_have_the_frequencies_of_the_policy(policy: Any) -> None:
    import torch  # noqa: PLC0415 - as above

    count, heat = 4000, 0.5
    prompt = torch.tensor([[1, 40, 41]])
    with torch.no_grad():
        expected = (policy.eval()(input_ids=prompt).logits[0, -1] / heat).softmax(-1)
    how = draw.How(temperature=heat, most=1, end=2)
    batch = draw.left_padded([[1, 40, 41]] * count, pad_id=2)
    drawn = draw.answers(policy, batch, [str(i) for i in range(count)], how)
    seen = torch.bincount(torch.tensor([each.ids[0] for each in drawn]), minlength=259)
    likely = expected.topk(20).indices
    within = 5 * (expected * (1 - expected) / count).sqrt() + 2 / count
    assert bool(((seen / count - expected).abs() <= within)[likely].all())


def test_an_answer_that_ends_and_one_that_is_cut() -> None:
    ended = draw.ended([5, 6, 2, 2], 2)
    assert (ended.ids, ended.finished) == ((5, 6, 2), True)
    assert not draw.ended([5, 6], 2).finished


def test_the_start_is_put_in_and_taken_out(policy: Any) -> None:
    import torch  # noqa: PLC0415 - as above

    batch = random_batch(0, 1, 2)
    start = Start(policy)
    before = sequence_logps(policy, batch)
    weights = [p for p in policy.parameters() if p.requires_grad]
    was = [p.detach().clone() for p in weights]
    with torch.no_grad():
        for each in weights:
            each.add_(0.05)
    moved = sequence_logps(policy, batch)
    with start.put_in(policy):
        assert torch.equal(sequence_logps(policy, batch), before)
    assert torch.equal(sequence_logps(policy, batch), moved)
    with torch.no_grad():
        for each, old in zip(weights, was, strict=True):
            each.copy_(old)


def test_the_reward_follows_the_order_of_ranks() -> None:
    ranks = [
        Rank(valid=False, status=False, citations=False, value=True, short=-5),
        Rank(valid=True, status=False, citations=False, value=False, short=-5),
        Rank(valid=True, status=True, citations=False, value=False, short=-5),
        Rank(valid=True, status=True, citations=True, value=False, short=-5),
        Rank(valid=True, status=True, citations=True, value=True, short=-50),
        Rank(valid=True, status=True, citations=True, value=True, short=-25),
    ]
    worth = [judges.worth(each, RULES, 100) for each in ranks]
    assert worth == [0.0, 1.0, 2.0, 3.0, 4.25, 4.375]
