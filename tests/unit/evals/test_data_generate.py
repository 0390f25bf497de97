"""The suite's samples as a whole: how many, how made, and that none contradicts itself."""

import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from evals import samples as files
from evals.data.generate import MAKERS, dumps, generate
from evals.samples import TASKS, Sample

HERE = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def suite() -> tuple[Sample, ...]:
    return generate()


def contradiction(sample: Sample) -> str:
    """What is wrong between a sample's answer and its context; empty when nothing."""
    texts = {item.id: item.text.casefold() for item in sample.input.context}
    cited = set(sample.expected.citations)
    if len(texts) != len(sample.input.context) or not cited <= set(texts):
        return "ids"
    if bool(cited) != (sample.expected.status == "ok"):
        return "citations of a sample that is not answered, or none of one that is"
    if sample.intent == "classify":
        label = sample.accepted[0]
        asks = label in sample.input.user
        return "" if asks and label not in " ".join(texts.values()) else "label"
    values = [value.casefold() for value in sample.accepted]
    holding = {name for name, text in texts.items() if any(v in text for v in values)}
    return "" if holding == cited else f"values in {holding}, cited {cited}"


def test_there_are_as_many_samples_of_each_task_as_the_gates_need(
    suite: tuple[Sample, ...],
) -> None:
    counted = Counter(sample.task for sample in suite)
    assert counted == {
        "grounding": 250,
        "documents": 36,
        "doubt": 130,
        "refusal": 650,
        "lookalike": 300,
        "redteam": 130,
        "locales": 600,
        "stability": 320,
    }
    assert tuple(MAKERS) == TASKS


def test_no_answer_citation_or_accepted_value_contradicts_its_context(
    suite: tuple[Sample, ...],
) -> None:
    wrong = {s.id: contradiction(s) for s in suite if contradiction(s)}
    assert not wrong


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_seed_gives_a_contradiction(seed: int) -> None:
    made = generate(seed, scale=0.05)
    assert not [s.id for s in made if contradiction(s)]


def test_the_written_file_is_read_back_as_it_was(
    suite: tuple[Sample, ...], tmp_path: Path
) -> None:
    file = tmp_path / "suite.jsonl"
    file.write_bytes(dumps(suite))
    assert files.load(file) == suite


def test_the_same_seed_gives_the_same_bytes_in_another_process(
    suite: tuple[Sample, ...],
) -> None:
    script = (
        "import hashlib; from evals.data.generate import dumps, generate;"
        " print(hashlib.sha256(dumps(generate())).hexdigest())"
    )
    ran = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script],
        cwd=HERE,
        # Another order of sets and dicts of strings must not change a byte.
        env={"PYTHONHASHSEED": "7"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip() == hashlib.sha256(dumps(suite)).hexdigest()


def test_another_seed_gives_other_samples() -> None:
    one, two = generate(1, scale=0.01), generate(2, scale=0.01)
    drawn = [(a, b) for a, b in zip(one, two, strict=True) if a.task != "documents"]
    assert all(a.input != b.input for a, b in drawn)


def test_a_smaller_scale_gives_the_first_samples_of_a_larger_one(
    suite: tuple[Sample, ...],
) -> None:
    whole = {sample.id: sample for sample in suite}
    assert all(whole[sample.id] == sample for sample in generate(scale=0.1))


def test_the_smallest_scale_still_shows_each_task_and_each_kind(
    suite: tuple[Sample, ...],
) -> None:
    few = generate(scale=0.0001)
    assert len(few) < 80

    def kinds(made: tuple[Sample, ...]) -> set[tuple[str, str]]:
        # Refusal's families are told by the wording, which is drawn.
        return {(s.task, "" if s.task == "refusal" else s.variant) for s in made}

    assert kinds(few) == kinds(suite)
    assert {s.locale for s in few} == {"en", "de", "fr", "es", "it"}
    assert {s.intent for s in few} == {s.intent for s in suite}


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.5])
def test_a_scale_outside_its_range_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        generate(scale=scale)


def test_each_sample_says_where_it_comes_from(suite: tuple[Sample, ...]) -> None:
    for sample in suite:
        origin = sample.provenance
        assert sample.split == "test"
        assert origin.template
        assert origin.entity
        if sample.task == "documents":
            assert origin.source.startswith("sqlite3-doc 3.40.1")
            assert origin.licence == "blessing"
            assert not origin.written
        else:
            assert (origin.source, origin.licence) == ("evals.data", "Apache-2.0")
            assert origin.written >= "2026-12-01"


def test_samples_are_of_documents_of_their_own_where_bounds_count_them(
    suite: tuple[Sample, ...],
) -> None:
    units: defaultdict[str, list[str]] = defaultdict(list)
    for sample in suite:
        units[sample.task].append(sample.unit)
    for task in ("grounding", "doubt", "refusal", "lookalike", "redteam"):
        assert len(set(units[task])) == len(units[task])
    assert set(Counter(units["locales"]).values()) == {5}
    assert set(Counter(units["stability"]).values()) == {8}


def test_every_prompt_leaves_room_for_its_answer(suite: tuple[Sample, ...]) -> None:
    for sample in suite:
        texts = (sample.input.user, *(item.text for item in sample.input.context))
        assert sum(len(text.split()) for text in texts) <= 450, sample.id


def test_ids_of_passages_come_in_several_styles(suite: tuple[Sample, ...]) -> None:
    styles = {item.id.rstrip("0123456789") for s in suite for item in s.input.context}
    assert {"S", "D", "KB-"} < styles
    assert len(styles) >= 8


def test_where_an_answer_stands_says_nothing_of_which_it_is(
    suite: tuple[Sample, ...],
) -> None:
    places: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for sample in suite:
        ids = [item.id for item in sample.input.context]
        if len(ids) > 1 and len(sample.expected.citations) == 1:
            places[sample.task][ids.index(sample.expected.citations[0])] += 1
    for task, counted in places.items():
        most = max(counted.values()) / counted.total()
        assert most < 0.6, (task, counted)
