from evals.reports.markdown import markdown, terminal
from tests.unit.evals.suite_results import HOSTILE, example, without_verdicts

WIDE = 120
"""Columns of a terminal."""


def test_the_gates_of_each_generator_stand_with_bounds_and_verdict() -> None:
    text = markdown(example())
    assert text.startswith("# Verdict: lora fails, lora_pref is inconclusive\n")
    assert "## Gates of lora: fail" in text
    rows = [line for line in text.splitlines() if line.startswith("| citation ")]
    cells = [[cell.strip() for cell in row.split("|")[2:-1]] for row in rows[:2]]
    assert cells == [
        ["fail", "at least 95 %", "75 % [51.56, 90.98]", "16", "44 %"],
        ["inconclusive", "at least 95 %", "93.75 % [73.6, 99.68]", "16", "44 %"],
    ]


def test_what_a_verdict_takes_is_said_below_the_gates() -> None:
    assert "- repair: About 240 more documents would decide it." in markdown(example())


def test_measures_have_a_column_for_each_arm_and_the_baseline_a_table() -> None:
    head = markdown(example()).partition("## Measures\n\n")[2].splitlines()[0]
    names = [cell.strip() for cell in head.split("|")[2:-1]]
    assert names == ["base", "lora", "lora_pref", "n"]
    assert "What `tokens` is compared with:\n\n|" in markdown(example())
    assert "base, constrained" not in markdown(without_verdicts(example(8)))


def test_how_it_was_made_and_what_it_does_not_say_are_there_in_full() -> None:
    result, text = example(), markdown(example())
    assert result.samples_digest in text
    assert result.gates_digest in text
    assert f"- {result.notes[0]}" in text
    assert "It does not say that the answer is true." in text.replace("\n", " ")
    assert text.rstrip().endswith("It says nothing of requests unlike these samples.")


def test_tables_fit_a_terminal() -> None:
    for text in (markdown(example()), terminal(example())):
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert max(map(len, rows)) <= WIDE


def test_the_terminal_ends_with_the_verdict() -> None:
    assert terminal(example()).endswith(
        "Verdict: lora fails, lora_pref is inconclusive."
    )
    assert terminal(without_verdicts(example(8))) == "Verdict: nothing was judged."


def test_a_hostile_text_is_one_line_without_markup() -> None:
    text = markdown(example(hostile=HOSTILE))
    assert "<script" not in text
    assert "⟨U+202E⟩" in text
    assert len(text.splitlines()) == len(markdown(example()).splitlines())
