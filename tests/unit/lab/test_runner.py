import io
import shlex
import sys
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.recipe import Step
from lab.runner import Runner

WRITES = "import pathlib,sys;p=pathlib.Path(sys.argv[1]);p.write_text(p.read_text()+'x' if p.exists() else 'x');print('made it')"


def writes(path: Path, name: str = "", extra: str = "") -> Step:
    command = shlex.join([sys.executable, "-c", WRITES, str(path)]) + extra
    return Step(name or path.name, "P", "A step", "why", command, makes=(path,))


def run(home: Path, *steps: Step) -> str:
    said = io.StringIO()
    Runner(home, now=lambda: "now", said=said).run(steps, of=len(steps))
    return said.getvalue()


def test_what_is_done_is_left_alone(tmp_path: Path) -> None:
    step = writes(tmp_path / "a")
    assert "made it" in run(tmp_path / "home", step)
    assert "done, in" in run(tmp_path / "home", step)
    assert (tmp_path / "a").read_text() == "x"


def test_another_command_is_run_and_all_that_comes_after_it(tmp_path: Path) -> None:
    home, first, second = tmp_path / "home", tmp_path / "a", tmp_path / "b"
    run(home, writes(first), writes(second))
    run(home, writes(first, extra=" more"), writes(second))
    assert (first.read_text(), second.read_text()) == ("xx", "xx")


def test_what_was_made_before_its_input_is_made_again_after_an_interruption(
    tmp_path: Path,
) -> None:
    home, first, second = tmp_path / "home", tmp_path / "a", tmp_path / "b"
    run(home, writes(first), writes(second))
    run(home, writes(first, extra=" more"))
    run(home, writes(first, extra=" more"), writes(second))
    assert (first.read_text(), second.read_text()) == ("xx", "xx")


def test_what_is_gone_is_made_again(tmp_path: Path) -> None:
    step = writes(tmp_path / "a")
    run(tmp_path / "home", step)
    (tmp_path / "a").unlink()
    run(tmp_path / "home", step)
    assert (tmp_path / "a").exists()


def test_a_step_that_makes_no_file_is_repeated_and_spares_what_follows(
    tmp_path: Path,
) -> None:
    told = Step("told", "P", "T", "why", shlex.join([sys.executable, "-c", "print(1)"]))
    after = writes(tmp_path / "a")
    run(tmp_path / "home", told, after)
    said = run(tmp_path / "home", told, after)
    assert said.count("done, in") == 1
    assert (tmp_path / "a").read_text() == "x"


def test_a_failure_names_the_step_and_its_log_and_keeps_what_was_said(
    tmp_path: Path,
) -> None:
    code = "import sys; print('because', file=sys.stderr); sys.exit(7)"
    step = Step("breaks", "P", "T", "why", shlex.join([sys.executable, "-c", code]))
    with pytest.raises(LabError, match="breaks ended with code 7") as raised:
        run(tmp_path / "home", step)
    log = tmp_path / "home/logs/breaks.log"
    assert str(log) in str(raised.value)
    assert log.read_text() == "because\n"


def test_a_code_that_is_fine_is_no_failure(tmp_path: Path) -> None:
    code = f"import sys; open({str(tmp_path / 'a')!r}, 'w'); sys.exit(3)"
    command = shlex.join([sys.executable, "-c", code])
    step = Step("s", "P", "T", "w", command, makes=(tmp_path / "a",), fine=(0, 3))
    run(tmp_path / "home", step)
    assert "done, in" in run(tmp_path / "home", step)


def test_a_step_that_does_not_make_what_it_says_fails(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", ""])
    step = Step("idle", "P", "T", "w", command, makes=(tmp_path / "none",))
    with pytest.raises(LabError, match="idle did not make"):
        run(tmp_path / "home", step)


def test_an_answer_goes_into_its_file_and_errors_into_the_log(tmp_path: Path) -> None:
    code = "import sys; print('{}'); print('slow', file=sys.stderr)"
    command = shlex.join([sys.executable, "-c", code])
    run(tmp_path / "home", Step("s", "P", "T", "w", command, into=tmp_path / "a.json"))
    assert (tmp_path / "a.json").read_text() == "{}\n"
    assert (tmp_path / "home/logs/s.log").read_text() == "slow\n"


def test_a_record_that_a_kill_has_cut_is_no_record(tmp_path: Path) -> None:
    step = writes(tmp_path / "a")
    run(tmp_path / "home", step)
    records = tmp_path / "home/steps.jsonl"
    records.write_bytes(records.read_bytes()[:-9])
    assert "made it" in run(tmp_path / "home", step)
