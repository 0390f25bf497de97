"""Contrast of the page's colours, as WCAG 2.2 has it."""

import itertools
import re
from importlib.resources import files

import pytest

STYLE = (files("evals.reports") / "style.css").read_text(encoding="utf-8")
LIGHT, DARK = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
READABLE = 4.5
"""WCAG 2.2, 1.4.3: text on its ground."""

SEEN = 3.0
"""WCAG 2.2, 1.4.11: graphics on their ground."""


def _colours(theme: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", theme))


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_texts_can_be_read_on_their_grounds(theme: str) -> None:
    c = _colours(theme)
    words = ("ink", "soft", "link", "pass", "fail", "inconclusive")
    pairs = [(c[word], c[ground]) for word in words for ground in ("paper", "sheet")]
    pairs += [(c["badge"], c[word]) for word in ("pass", "fail", "inconclusive")]
    pairs += [(c[f"on{i}"], c[f"h{i}"]) for i in range(5)] + [(c["ink"], c["mark"])]
    assert [pair for pair in pairs if _contrast(*pair) < READABLE] == []


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_bars_of_verdicts_can_be_seen(theme: str) -> None:
    c = _colours(theme)
    bars = [c[f"bar-{word}"] for word in ("pass", "fail", "inconclusive")]
    assert [bar for bar in bars if _contrast(bar, c["paper"]) < SEEN] == []


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_pass_and_fail_differ_in_blue_and_red_for_the_red_green_blind(
    theme: str,
) -> None:
    c = _colours(theme)
    for kind in ("", "bar-"):
        blue, orange = c[f"{kind}pass"], c[f"{kind}fail"]
        assert int(blue[5:], 16) - int(blue[1:3], 16) > 60
        assert int(orange[1:3], 16) - int(orange[5:], 16) > 60


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_shades_are_told_apart(theme: str) -> None:
    c = _colours(theme)
    shades = [c[f"h{i}"] for i in range(5)]
    assert all(one != other for one, other in itertools.combinations(shades, 2))


def test_both_themes_set_the_same_colours() -> None:
    assert _colours(LIGHT).keys() == _colours(DARK).keys()
