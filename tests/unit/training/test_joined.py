from pathlib import Path

import pytest

from structured.prompt import AssistInput
from training import config as configs
from training.data.pairs import Pair
from training.errors import ConfigError, DataError
from training.joined import join
from training.preference import dumps, load_pairs, pairs_digest

TEMPLATE = Path("training/configs/acme-behav-pref@v2.toml")


def pair(name: str, chosen: str = "right") -> Pair:
    return Pair(name, "longer", AssistInput("What is it?", ()), chosen, "wrong")


def written(path: Path, *pairs: Pair) -> Path:
    path.write_bytes(dumps(pairs))
    return path


def test_a_run_names_the_joined_pairs_by_their_digest(tmp_path: Path) -> None:
    files = (
        written(tmp_path / "a.jsonl", pair("a", "one"), pair("b", "two")),
        written(tmp_path / "c.jsonl", pair("c", "three")),
    )
    made = join(files, tmp_path / "out", template=TEMPLATE)
    loaded = configs.load(tmp_path / "out/run.toml", method="dpo")
    found = load_pairs(tmp_path / "out/pairs.jsonl")
    assert [each.id for each in found] == ["a", "b", "c"]
    assert loaded.given() >= {"pairs", "preference"}
    assert digest_of(loaded) == made.digest == pairs_digest(found)


def digest_of(loaded: configs.RunConfig) -> str:
    assert isinstance(loaded.pairs, configs.Pairs)
    return loaded.pairs.digest


def test_a_pair_that_two_files_have_is_kept_once_whatever_its_name(
    tmp_path: Path,
) -> None:
    files = (
        written(tmp_path / "a.jsonl", pair("a")),
        written(tmp_path / "b.jsonl", pair("b"), pair("c", "another")),
    )
    made = join(files, tmp_path / "out", template=TEMPLATE)
    assert [each.id for each in made.pairs] == ["a", "c"]


def test_a_limit_is_each_files_and_is_spread_over_it(tmp_path: Path) -> None:
    ten = [pair(f"{number}", f"{number}") for number in range(10)]
    other = written(tmp_path / "b.jsonl", pair("b"))
    files = (written(tmp_path / "a.jsonl", *ten), other)
    made = join(files, tmp_path / "out", template=TEMPLATE, limit=2)
    assert [each.id for each in made.pairs] == ["0", "5", "b"]


def test_a_configuration_without_a_place_for_the_digest_writes_nothing(
    tmp_path: Path,
) -> None:
    files = (written(tmp_path / "a.jsonl", pair("a")),)
    sealed = tmp_path / "sealed.toml"
    sealed.write_text(TEMPLATE.read_text().replace("DIGEST", "0" * 64))
    with pytest.raises(ConfigError, match=r'pairs\.digest has to be "DIGEST", once'):
        join(files, tmp_path / "out", template=sealed)
    assert not (tmp_path / "out").exists()


def test_a_file_that_holds_no_pairs_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "a.jsonl"
    broken.write_text("{}\n")
    with pytest.raises(DataError, match=r"a\.jsonl, line 1"):
        join((broken,), tmp_path / "out", template=TEMPLATE)
    assert not (tmp_path / "out").exists()
