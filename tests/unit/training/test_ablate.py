from pathlib import Path

import msgspec
import pytest

from training import ablate
from training.ablate import Plan, Seen, Variant
from training.config import Bottleneck, Quantised
from training.errors import ConfigError

ROOT = Path(__file__).parents[3]


def shipped() -> Plan:
    plan = ablate.load(ROOT / "training" / "configs" / "ablation.toml")
    return msgspec.structs.replace(plan, config=str(ROOT / plan.config))


def test_every_variant_of_the_shipped_plan_is_a_configuration_of_one_budget() -> None:
    plan = shipped()
    made = {name: ablate.config_of(plan, name, 1) for name in plan.variants}
    assert {each.optim.epochs for each in made.values()} == {1}
    assert len({each.max_length for each in made.values()}) == 1
    assert not made["no-field-weights"].fields
    assert made["qlora"].quantised == Quantised("nf4", double=True)


def test_a_variant_may_leave_a_table_out_and_bring_another() -> None:
    bottleneck = Variant({"bottleneck": {"size": 64}}, without=("lora",))
    plan = msgspec.structs.replace(shipped(), variants={"small": bottleneck})
    made = ablate.config_of(plan, "small", 1)
    assert made.bottleneck == Bottleneck(64)
    assert made.lora is None


def test_a_table_is_merged_and_keeps_what_is_not_changed() -> None:
    plan = shipped()
    lora = ablate.config_of(plan, "rank-8", 1).lora
    whole = ablate.config_of(plan, "as-configured", 1).lora
    assert lora is not None
    assert whole is not None
    assert (lora.r, lora.lora_alpha) == (8, 16)
    assert lora.target_modules == whole.target_modules


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        (Variant(change={"optim": {"learning_rate": "much"}}), "learning_rate"),
        (Variant(without=("lora",)), "variant odd: a run by sft needs"),
        (Variant(change={"orpo": {"odds_weight": 1.0}}), "makes nothing of orpo"),
    ],
)
def test_a_variant_that_is_no_configuration_is_named(
    variant: Variant, said: str
) -> None:
    plan = msgspec.structs.replace(shipped(), variants={"odd": variant})
    with pytest.raises(ConfigError, match=said):
        ablate.config_of(plan, "odd", 1)


def test_the_table_has_mean_lowest_and_highest_of_the_seeds() -> None:
    shares = dict.fromkeys(ablate.MEASURES, (0.5, 0.6, 0.7))
    text = ablate.table(
        [Seen("plain", shares, (20, 21, 22), (200, 210, 220))], shipped()
    )
    assert "| plain | 60.0 % [50.0, 70.0] |" in text
    assert "21.0 [20.0, 22.0] | 210 [200, 220] |" in text
