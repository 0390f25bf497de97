"""Leakage: what is shared is found, and the suite shares nothing with training."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from evals import leakage
from evals.data.generate import generate
from evals.errors import SampleError, SetupError
from evals.nearness import Index, Seen, grams
from evals.samples import Expected, Provenance, Sample
from structured.prompt import AssistInput, ContextItem

HERE = Path(__file__).parents[3]


def asks(user: str, *texts: str) -> AssistInput:
    context = tuple(ContextItem(f"S{n}", text) for n, text in enumerate(texts, 1))
    return AssistInput(user, context)


def sample(
    name: str,
    given: AssistInput,
    entity: str = "",
    *,
    written: str = "",
    document: str = "",
) -> Sample:
    return Sample(
        name,
        "extract",
        given,
        Expected("ok", "Yes."),
        document=document,
        provenance=Provenance(entity=entity, written=written),
    )


TOLD = asks(
    "What does the Halden relay weigh?", "On our scale the Halden relay shows 14 kilos."
)
TRAINED = (Seen("train-1", TOLD),)
OTHER = asks("Which songs do whales sing?", "Whales hum long and slow tunes at dusk.")


def test_the_same_input_is_as_near_as_can_be_whatever_its_numbers() -> None:
    copy = asks(TOLD.user, "On our scale the Halden relay shows 99 kilos.")
    found = leakage.report((sample("a", copy), sample("b", OTHER)), TRAINED)
    assert found.worst[0].similarity == 1
    assert (found.worst[0].sample, found.worst[0].other) == ("a", "train-1")
    assert found.near == ("a",)
    assert not found.is_clean


def test_a_sentence_is_found_under_another_name_and_number() -> None:
    given = asks("Which songs?", "On our scale the Kvistad log splitter shows 3 kilos.")
    found = leakage.report((sample("a", given, "Kvistad log splitter"),), TRAINED)
    (shared,) = found.templates
    assert (shared.sample, shared.other) == ("a", "train-1")
    assert shared.template == "on our scale the * shows # kilos"
    assert not found.near
    assert not found.is_clean


def test_a_sentence_of_few_words_of_its_own_is_no_template() -> None:
    given = asks("What does the Kvistad kiln cost?")
    told = (Seen("t", asks("The Halden of the Corvo pump of Ghent.")),)
    short = asks("The Kvistad kiln of the Kvistad kiln.")
    samples = (sample("a", short, "Kvistad kiln"), sample("b", given, "Kvistad kiln"))
    assert not leakage.report(samples, told).templates


def test_a_name_that_training_knows_is_named_but_not_a_part_of_a_word() -> None:
    samples = (
        sample("a", OTHER, "Halden plotter"),
        sample("b", OTHER, "Hal kiln"),
        sample("c", OTHER, "Maeve Byrne"),
    )
    assert leakage.report(samples, TRAINED).entities == ("Halden",)


def test_the_nearest_sentences_are_shown_even_where_inputs_are_far_apart() -> None:
    padding = [f"Nothing to be seen here but word{n} alone." for n in range(9)]
    given = asks("Well?", "On our scale the Kvistad relay shows little.", *padding)
    found = leakage.report((sample("a", given),), TRAINED)
    assert found.worst[0].similarity < 0.1
    assert found.sentences[0].told == TOLD.context[0].text
    assert found.sentences[0].similarity > 1.5 * found.worst[0].similarity


@pytest.mark.parametrize(
    ("trained", "written", "word"),
    [
        ("2026-11-30", "2026-12-01", "held"),
        ("2026-12-01", "2026-12-01", "violated"),
        ("", "2026-12-01", "unknown"),
        ("2026-11-30", "", "unknown"),
    ],
)
def test_the_temporal_hold_out_holds_only_with_dates_on_both_sides(
    trained: str, written: str, word: str
) -> None:
    line = Seen("t", TOLD, Provenance(written=trained))
    found = leakage.report((sample("a", OTHER, written=written),), (line,))
    assert found.temporal == word
    assert found.is_clean == (word != "violated")


def test_the_date_that_curation_writes_counts_as_the_lines() -> None:
    line = Seen("t", TOLD, date="2026-09-30")
    found = leakage.report((sample("a", OTHER, written="2026-12-01"),), (line,))
    assert (found.temporal, found.newest_training) == ("held", "2026-09-30")


def test_one_sample_twice_is_found_but_not_within_its_document() -> None:
    samples = (
        sample("a", OTHER),
        sample("b", OTHER),
        sample("c", TOLD, document="d"),
        sample("e", TOLD, document="d"),
    )
    found = leakage.report(samples, ())
    assert [(near.sample, near.other) for near in found.duplicates] == [("a", "b")]


def test_purge_drops_what_is_as_near_as_the_threshold_and_keeps_the_order() -> None:
    samples = (sample("b", OTHER), sample("a", TOLD), sample("c", OTHER))
    kept = leakage.purge(samples, TRAINED, threshold=1.0)
    assert [each.id for each in kept] == ["b", "c"]
    assert leakage.purge(samples, ()) == samples


def test_two_lines_of_the_same_id_are_both_seen() -> None:
    index = Index([("t", OTHER), ("t", TOLD)])
    assert index.nearest("a", TOLD).similarity == 1
    assert index.nearest("a", OTHER).similarity == 1


WORDS = st.lists(st.sampled_from(["one", "two", "three", "four", "6"]), max_size=12)


@settings(deadline=None)
@given(one=WORDS, two=WORDS)
def test_nearness_is_the_jaccard_similarity_of_the_triples(
    one: list[str], two: list[str]
) -> None:
    a, b = AssistInput(" ".join(one)), AssistInput(" ".join(two))
    both, either = grams(a) & grams(b), grams(a) | grams(b)
    found = Index([("b", b)]).nearest("a", a).similarity
    assert found == (len(both) / len(either) if both else 0)


def test_a_report_is_text_and_json() -> None:
    found = leakage.report((sample("a", TOLD, "Halden relay"),), TRAINED)
    assert msgspec.json.decode(msgspec.json.encode(found), type=leakage.Leakage) == (
        found
    )
    said = leakage.text(found)
    assert "1.000  a / train-1" in said
    assert "names shared: 1: Halden" in said
    assert "temporal hold-out: unknown" in said


def test_preference_pairs_are_read_as_well(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    pair = b'{"id":"p","fault":"wordy","input":{"user":"Q?"},"chosen":"","rejected":""}'
    file.write_bytes(pair + b"\n\n")
    assert leakage.read(file) == (Seen("p", AssistInput("Q?")),)


def test_a_broken_line_of_training_is_named(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_bytes(b'{"id":"a","input":{"user":"Q?"}}\n{"id":"b"}\n')
    with pytest.raises(SampleError, match=r"train\.jsonl:2"):
        leakage.read(file)
    with pytest.raises(SetupError, match="No such file"):
        leakage.read(tmp_path / "none.jsonl")


@pytest.mark.parametrize(("words", "count"), [("deep", 800), ("wide", 480)])
def test_the_suite_shares_nothing_with_either_vocabulary_of_training(
    tmp_path: Path, words: str, count: int
) -> None:
    file = tmp_path / "train.jsonl"
    # In a process of its own: the evals, and their tests, never import training.
    script = (
        "import sys; from pathlib import Path;"
        " from training.data.generate import generate;"
        " from training.examples import dumps; path, words, count = sys.argv[1:];"
        " made = generate('train', count=int(count), words=words);"
        " Path(path).write_bytes(dumps(made))"
    )
    subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script, str(file), words, str(count)],
        cwd=HERE,
        check=True,
    )
    trained = leakage.read(file)
    assert len(trained) == count
    found = leakage.report(generate(), trained)
    assert found.is_clean, leakage.text(found)
    assert found.worst[0].similarity < 0.2
    assert found.sentences[0].similarity < 0.35
    assert found.temporal == "unknown"
