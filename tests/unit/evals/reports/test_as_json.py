from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from evals.errors import SetupError
from evals.reports.as_json import encode, load
from evals.statistics import Interval
from tests.unit.evals.suite_results import HOSTILE, example, without_verdicts

SMALL = example(8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    "result", [example(), example(hostile=HOSTILE), without_verdicts(example(8))]
)
def test_a_result_comes_back_as_it_was(result: object, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(encode(result))  # type: ignore[arg-type]  -- parametrized
    assert load(path) == result


@settings(deadline=None)  # the machine may be busy with something else
@given(point=FLOATS, low=st.none() | FLOATS, text=st.text(), seconds=FLOATS)
def test_any_figure_and_text_comes_back(
    point: float, low: float | None, text: str, seconds: float
) -> None:
    result = SMALL
    arm = msgspec.structs.replace(
        result.arms[0], summary={text: Interval(point, low, None, 1)}, seconds=seconds
    )
    changed = msgspec.structs.replace(result, arms=(arm,), notes=(text,))
    assert msgspec.json.decode(encode(changed), type=type(result)) == changed


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["seconds", "summary"])
def test_a_figure_that_json_has_not_is_refused(figure: float, where: str) -> None:
    result = example(8)
    changes = {"seconds": figure, "summary": {"success": Interval(0, figure, None, 1)}}
    arm = msgspec.structs.replace(result.arms[0], **{where: changes[where]})
    with pytest.raises(ValueError, match="read back"):
        encode(msgspec.structs.replace(result, arms=(arm,)))


def test_a_file_that_is_no_result_is_named_with_the_field(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text('{"run": 1}')
    with pytest.raises(SetupError, match=r"result\.json.*\$\.run"):
        load(path)
    with pytest.raises(SetupError, match="No such file"):
        load(tmp_path / "absent.json")
