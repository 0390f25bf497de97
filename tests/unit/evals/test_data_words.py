"""The files of words: what is wrong with one is named."""

from pathlib import Path

import pytest

from evals.data.draw import bare, fill
from evals.data.words import Doubt, read
from evals.errors import SetupError


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("beyond = [", "not TOML"),
        ("beyond = []\nfull = 3\nshort = ''", "full"),
        ("beyond = []\nfull = ''\nshort = ''\nmore = 1", "more"),
    ],
)
def test_a_bad_file_of_words_is_named(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "doubt.toml").write_text(content)
    with pytest.raises(SetupError, match=named) as caught:
        read(Doubt, tmp_path)
    assert "doubt.toml" in str(caught.value)


def test_a_missing_file_of_words_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"doubt\.toml: No such file"):
        read(Doubt, tmp_path)


def test_a_sentence_begins_with_a_capital_whatever_fills_its_first_slot() -> None:
    assert fill("{v} inspects the {p}.", v="the Board", p="kiln") == (
        "The Board inspects the kiln."
    )


def test_a_slot_may_begin_with_a_vowel() -> None:
    assert fill("Pick a {p}, or a {q}.", p="Ulvik kiln", q="Kvistad kiln") == (
        "Pick an Ulvik kiln, or a Kvistad kiln."
    )


def test_an_id_in_front_keeps_its_small_letter() -> None:
    assert fill("{id} has a task. Do it.", id="entry1") == "entry1 has a task. Do it."


def test_an_accepted_value_goes_without_its_article() -> None:
    assert bare("the Gdynia yard") == "Gdynia yard"
    assert bare("a blue flash") == "blue flash"
    assert bare("Atelier Brun") == "Atelier Brun"
