"""A sample file: what is read, and how a bad line is named."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from evals import samples
from evals.errors import SampleError, SetupError
from evals.samples import Sample

LINE = (
    b'{"id":"a","intent":"extract","split":"test","template":"t9","input":{"context":'
    b'[{"id":"kb-1","text":"Red."}],"user":"Colour?"},"output":'
    b'{"status":"ok","answer":"Red.","citations":["kb-1"]}}'
)


def write(path: Path, *lines: bytes) -> Path:
    file = path / "test.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def test_a_generated_line_is_read_whole(tmp_path: Path) -> None:
    (sample,) = samples.load(write(tmp_path, LINE, b""))
    assert sample.expected.citations == ("kb-1",)
    assert sample.input.context_ids == {"kb-1"}
    assert sample.input.system is None


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"{", "$"),
        (b'"\xff"', "$"),
        (LINE.replace(b'"ok"', b'"fine"'), "$.output.status"),
        (LINE.replace(b'"user"', b'"query"'), "$.input"),
        (LINE.replace(b'["kb-1"]', b'["kb-7"]'), "output.citations"),
        (LINE.replace(b'"split":"test"', b'"split":"train"'), "split"),
        (LINE.replace(b'"split":"test"', b'"split":"val"'), "split"),
        (LINE.replace(b'"intent"', b'"task":"poetry","intent"'), "task"),
        (LINE, "id"),
    ],
)
def test_a_bad_line_is_named_by_file_line_and_field(
    tmp_path: Path, line: bytes, field: str
) -> None:
    with pytest.raises(SampleError) as caught:
        samples.load(write(tmp_path, LINE, line))
    assert (caught.value.file, caught.value.line) == ("test.jsonl", 2)
    assert caught.value.field == field


def test_a_line_without_a_task_is_of_grounding_and_an_unknown_task_says_which_are(
    tmp_path: Path,
) -> None:
    (sample,) = samples.load(write(tmp_path, LINE))
    assert sample.task == "grounding"
    line = LINE.replace(b'"intent"', b'"task":"poetry","intent"')
    with pytest.raises(SampleError, match="'poetry' is no task; one of grounding, "):
        samples.load(write(tmp_path, line))


def test_an_empty_file_is_no_sample_set(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no samples"):
        samples.load(write(tmp_path, b""))


def test_a_missing_file_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--split test"):
        samples.load(tmp_path / "none.jsonl")


def test_a_sample_sets_digest_ignores_order_and_sees_content(
    make_sample: Callable[..., Sample],
) -> None:
    a, b = make_sample("a"), make_sample("b")
    assert samples.digest((a, b)) == samples.digest((b, a))
    changed = msgspec.structs.replace(a, intent="classify")
    assert samples.digest((a, b)) != samples.digest((changed, b))


@pytest.mark.parametrize(
    ("name", "intent", "status", "expected"),
    [
        ("test-0001-extract-lookalike", "extract", "ok", True),
        ("test-0001", "lookalike", "ok", True),
        ("test-0001-refuse-lookalike", "refuse", "refused", False),
        ("test-0001-extract-value", "extract", "ok", False),
    ],
)
def test_a_lookalike_is_named_one_and_is_not_to_be_refused(
    make_sample: Callable[..., Sample],
    name: str,
    intent: str,
    status: str,
    *,
    expected: bool,
) -> None:
    sample = make_sample(name, intent=intent, status=status)
    assert sample.is_lookalike is expected
