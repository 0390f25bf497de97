from pathlib import Path

import msgspec
import pytest

from training import ablate, quickcheck, record
from training.ablate import Plan, Seen, Variant
from training.config import Bottleneck, Quantised, RunConfig
from training.errors import ConfigError
from training.quickcheck import Report, Share
from training.record import Run
from training.run import Places

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


def test_no_variant_looks_while_it_trains() -> None:
    looks = ablate.config_of(shipped(), "as-configured", 1).looks
    assert looks
    assert looks.every > shipped().examples * shipped().epochs


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


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were made, in order; each takes a second and learns nothing."""
    made: list[str] = []

    def run(config: RunConfig, places: Places) -> None:
        made.append(config.ref)
        places.out.mkdir(parents=True)
        done = Run(config, "", "", "", 2, 1.0, 1, (), {}, tokens=100)
        (places.out / record.RUN_RECORD).write_bytes(msgspec.json.encode(done))

    def look(*, limit: int, **_: object) -> Report:
        shares = dict.fromkeys(ablate.MEASURES, Share(0.5, limit, 0.4, 0.6))
        return Report("held out", shares, 20.0, ())

    monkeypatch.setattr(ablate, "run", run)
    monkeypatch.setattr(quickcheck, "look", look)
    return made


def small() -> Plan:
    variants = {"plain": Variant(), "bare": Variant(without=("fields",))}
    return msgspec.structs.replace(shipped(), seeds=(1, 2), variants=variants)


def test_every_variant_has_a_seed_before_any_has_the_next(
    trained: list[str], tmp_path: Path
) -> None:
    ablate.ablate(small(), tmp_path, tmp_path, tmp_path / "out")
    names = [ref.removeprefix("ablation-").removesuffix("@v1") for ref in trained]
    assert names == ["plain-s1", "bare-s1", "plain-s2", "bare-s2"]


def test_what_is_done_stays_done(trained: list[str], tmp_path: Path) -> None:
    first = ablate.ablate(small(), tmp_path, tmp_path, tmp_path / "out")
    again = ablate.ablate(small(), tmp_path, tmp_path, tmp_path / "out")
    assert first == again
    assert len(trained) == 4


def test_a_run_of_another_plan_is_not_taken_for_this_ones(
    trained: list[str], tmp_path: Path
) -> None:
    ablate.ablate(small(), tmp_path, tmp_path, tmp_path / "out")
    longer = msgspec.structs.replace(small(), examples=640)
    with pytest.raises(ConfigError, match="is a run of another plan"):
        ablate.ablate(longer, tmp_path, tmp_path, tmp_path / "out")


def test_another_number_of_questions_is_asked_anew(
    trained: list[str], tmp_path: Path
) -> None:
    ablate.ablate(small(), tmp_path, tmp_path, tmp_path / "out")
    ablate.ablate(
        msgspec.structs.replace(small(), asked=40),
        tmp_path,
        tmp_path,
        tmp_path / "out",
    )
    assert len(trained) == 4
    assert len(list((tmp_path / "out").glob("*-40.json"))) == 4
