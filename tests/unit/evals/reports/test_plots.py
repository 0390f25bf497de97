import re

import msgspec
import pytest

from evals.gates import Finding, Gate
from evals.reports.plots import NARROW, WIDE, ratio_ticks, ratios, shares
from evals.reports.tags import Html
from tests.unit.evals.suite_results import example

FINDINGS = example().judged[0].findings


def _gate(**demand: object) -> Gate:
    fields = {"suite": "s", "measure": "m", "tasks": (), "why": "w", **demand}
    return Gate(**fields)  # type: ignore[arg-type]  -- keyword arguments of a test


def _bar(drawn: Html) -> tuple[float, float]:
    found = re.search(r'<rect [^>]*x="([\d.]+)"[^>]*width="([\d.]+)"', drawn)
    assert found
    return float(found[1]), float(found[1]) + float(found[2])


def _demand(drawn: Html) -> float:
    found = re.search(r'<line x1="([\d.]+)"[^>]*class="demand"', drawn)
    assert found
    return float(found[1])


def test_each_gate_on_a_share_has_a_row_with_its_verdict_in_words() -> None:
    drawn = shares(FINDINGS, "x")
    for finding in FINDINGS:
        times = 0 if finding.gate.ratio else 2
        label = f'class="label">{finding.name}'
        assert drawn.count(label) == times, "once wide, once narrow"
    assert drawn.count("✗ fail") == 2 * 4
    assert drawn.count('class="bar fail"') == 2 * 4


def test_the_description_says_all_that_the_picture_shows() -> None:
    said = "citation: asked at least 95 %, seen 75 % [51.56, 90.98], fail"
    assert said in shares(FINDINGS, "x")


@pytest.mark.parametrize(
    ("low", "high", "sides"),
    [(0.991, 0.999, "right"), (0.95, 0.98, "left"), (0.97, 0.995, "across")],
)
def test_a_bar_lies_on_the_side_of_the_demand_that_its_bounds_do(
    low: float, high: float, sides: str
) -> None:
    found = Finding("g", _gate(at_least=0.99), "pass", 9, (low + high) / 2, low, high)
    drawn = shares((found,), "x")
    (first, last), demand = _bar(drawn), _demand(drawn)
    said = "right" if first > demand else "left" if last < demand else "across"
    assert said == sides


def test_a_share_that_should_be_small_is_drawn_as_what_is_left() -> None:
    found = Finding("g", _gate(at_most=0.03), "pass", 9, 0.01, 0.005, 0.02)
    drawn = shares((found,), "x")
    assert _bar(drawn)[0] > _demand(drawn)
    assert "g (what is left)" in drawn


def test_a_missing_bound_reaches_to_the_end() -> None:
    found = Finding("g", _gate(at_least=0.9), "pass", 9, 0.95, None, None)
    assert _bar(shares((found,), "x")) == (WIDE.left, WIDE.right)


def test_nothing_seen_is_a_demand_without_a_bar() -> None:
    found = Finding("g", _gate(at_least=0.9), "inconclusive", 0)
    drawn = shares((found,), "x")
    assert "<rect" not in drawn
    assert _demand(drawn) > WIDE.left


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0, 7.0])
def test_a_figure_beyond_the_axis_stays_in_the_picture(value: float) -> None:
    gate = _gate(ratio=(0.75, 0.9))
    drawn = ratios((Finding("g", gate, "fail", 9, value, value, value),), "x")
    for frame, picture in zip((WIDE, NARROW), drawn.split("</svg>"), strict=False):
        places = re.findall(r'cx="([\d.]+)"', picture)
        assert all(frame.left <= float(x) <= frame.right for x in places)


def test_without_gates_there_is_no_picture() -> None:
    assert shares((), "x") == ratios((), "x") == ""
    only = msgspec.structs.replace(FINDINGS[0], gate=_gate(ratio=(0.75, 0.9)))
    assert shares((only,), "x") == ""


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.8, 0.85, [0.4, 0.6, 0.8, 1.0, 1.2]),
        (0.95, 1.37, [0.4, 0.6, 0.8, 1.0, 1.2, 1.4]),
        (0.1, 2.3, [0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4]),
    ],
)
def test_the_axis_of_ratios_grows_until_every_bound_is_on_it(
    low: float, high: float, ticks: list[float]
) -> None:
    gate = _gate(ratio=(0.75, 0.9))
    finding = Finding("tokens", gate, "fail", 24, value=1.0, low=low, high=high)
    assert ratio_ticks([finding]) == ticks
