"""The journal: what survives a crash, and what counts as the same question."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from evals.answers import Answer, Journal, Params, Subject, key
from evals.errors import JournalError
from evals.samples import Sample

ANSWERS = tuple(Answer(f"s{i}", "base", "tiny@1.0", "valid", "ok") for i in range(4))


def write(path: Path) -> bytes:
    path.unlink(missing_ok=True)
    journal = Journal.open(path)
    for answer in ANSWERS:
        journal.add(answer.sample, answer)
    journal.close()
    return path.read_bytes()


def test_a_recorded_answer_is_found_again(tmp_path: Path) -> None:
    write(tmp_path / "run" / "answers.jsonl")
    journal = Journal.open(tmp_path / "run" / "answers.jsonl")
    assert [journal.get(answer.sample) for answer in ANSWERS] == list(ANSWERS)
    assert journal.get("s9") is None
    journal.close()


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_crash_at_any_byte_costs_one_answer_at_most(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "answers.jsonl"
    whole = write(path)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    journal = Journal.open(path)
    kept = [a for a in ANSWERS if journal.get(a.sample) is not None]
    assert len(kept) == whole[:cut].count(b"\n")
    for answer in ANSWERS[len(kept) :]:
        journal.add(answer.sample, answer)
    journal.close()
    assert path.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    lines = write(path).splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{broken\n" + lines[1])
    with pytest.raises(JournalError, match=r"answers\.jsonl:2"):
        Journal.open(path)


def test_a_key_changes_with_all_that_decides_an_answer(
    make_sample: Callable[..., Sample],
) -> None:
    sample, params = make_sample(), Params("assist", 64)
    subject = Subject("lora", "behav@v1", "ab")
    keys = {
        key(sample, subject, params),
        key(make_sample(status="refused"), subject, params),
        key(sample, Subject("lora", "behav@v2", "ab"), params),
        key(sample, Subject("lora", "behav@v1", "cd"), params),
        key(sample, subject, Params("assist", 65)),
    }
    assert len(keys) == 5
    assert key(sample, Subject("lora_pref", "behav@v1", "ab"), params) in keys
