"""What a supervised run encodes."""

from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET

from training import examples, models, supervised
from training.config import Curated, Data, Looks, load
from training.data.generate import generate

CONFIG = Path(__file__).parents[3] / "training" / "configs" / "sft.toml"


@pytest.mark.parametrize(("losses", "checked"), [(None, 6), (4, 4), (9, 6)])
def test_a_look_takes_the_loss_of_so_many_and_all_without(
    tiny_base: Path, losses: int | None, checked: int
) -> None:
    looks = Looks(every=5, examples=2, patience=3)
    if losses:
        looks = msgspec.structs.replace(looks, losses=losses)
    config = msgspec.structs.replace(
        load(CONFIG, method="sft"),
        max_length=2000,
        data=Data(seed=1, train=8, val=6),
        looks=looks,
    )
    _, tokenizer = models.load_base(tiny_base, seed=0)
    made = supervised.encoded(config, tokenizer, *supervised.split(config, None))
    assert len(made.checks) == checked
    assert len(made.watched) == 6


def test_a_limit_is_spread_over_the_set(tmp_path: Path) -> None:
    learnt = generate("train", count=9, seed=1)
    (tmp_path / "train.jsonl").write_bytes(examples.dumps(learnt))
    (tmp_path / "val.jsonl").write_bytes(
        examples.dumps(generate("val", count=3, seed=1))
    )
    config = msgspec.structs.replace(
        load(CONFIG, method="sft"),
        data=UNSET,
        curated=Curated(digest=examples.digest(learnt), limit=3),
    )
    chosen, watched = supervised.split(config, tmp_path)
    assert chosen == (learnt[0], learnt[3], learnt[6])
    assert len(watched) == 3
