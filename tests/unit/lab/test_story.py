import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from adapters.refs import AdapterRef, BaseRef
from adapters.verdict import EvalVerdict, GateResult, Word, encode
from lab import ramp, recipe, story
from lab.__main__ import better
from lab.runner import Done, log_file
from routing.rollout import Phase, Plan, Rollout, Step, Target

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PLAN = Plan(
    candidate=Target("lora", "acme-lab-lora@v1"), steps=(Step(500), Step(5_000))
)


def verdict(ref: str, *words: Word) -> EvalVerdict:
    gates = tuple(
        GateResult(f"gate{number}", word, "at least 99 %", 100, 0.98, 0.95)
        for number, word in enumerate(words)
    )
    overall: Word = "fail" if "fail" in words else "pass"
    return EvalVerdict(
        ref=AdapterRef.parse(ref),
        digest="0" * 64,
        base=BaseRef.parse("smollm2-135m-instruct@1.0"),
        verdict=overall,
        gates=gates,
        confidence=0.95,
        samples=100,
        samples_digest="1" * 64,
        gates_digest="2" * 64,
        made=datetime(2026, 11, 28, tzinfo=UTC),
        command="suite",
    )


def look(after: float, event: str | None, phase: Phase, step: int) -> dict[str, Any]:
    rollout = Rollout("r1", PLAN, begun=1_000.0, phase=phase, step=step)
    return {
        "sight": {"now": 1_000 + after},
        "event": event,
        "after": msgspec.to_builtins(rollout),
        "readings": [{"measure": "adherence", "verdict": "pass", "candidate": [1, 99]}],
    }


RECORDS = [
    look(1, None, "staging", -1),
    look(60, "staged", "canary", 0),
    look(90, "advanced", "ramp", 1),
    look(120, "promoted", "promoted", 1),
]


def told(home: Path) -> story.Story:
    steps = (
        *recipe.prepare(home),
        *recipe.release(home, f"lora_pref={recipe.PREF}"),
    )
    for step in steps:
        for path in (*step.makes, *step.pictures):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SVG)
        log = log_file(home, step.name)
        log.parent.mkdir(exist_ok=True)
        log.write_bytes(b"0 %\r50 %\r<i>all</i> of it\n")
    share = {"value": 0.9, "lower": 0.8, "upper": 0.95, "n": 120}
    for run in ("sft", "pref"):
        report = {"shares": {"status_right": share}}
        (home / f"{run}-check.json").write_text(json.dumps(report))
    for made in (
        verdict(recipe.LORA, "pass", "fail"),
        verdict(recipe.PREF, "pass", "pass"),
    ):
        recipe.verdict_file(home, str(made.ref)).write_bytes(encode(made))
    rollout = {
        "phase": "promoted",
        "begun": 1_000.0,
        "ended": "every gate has passed",
        "left_out": ["tokens: left out"],
        "overridden": "a lab: <b>its</b> evals fail",
    }
    canary = {"seconds": 123.0, "rollout": rollout, "records": RECORDS}
    (home / "canary.json").write_text(json.dumps(canary))
    done = {s.name: Done(s.name, s.command, 0, 60.0, "now") for s in steps}
    refs = (recipe.LORA, recipe.PREF)
    return story.Story(
        steps, done, refs, f"lora_pref={recipe.PREF}", "`x` is better.", home
    )


class Read(HTMLParser):
    """Keeps the elements' names, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Read:
    found = Read()
    found.feed(page)
    return found


def test_the_page_tells_every_command_and_what_came_of_it(tmp_path: Path) -> None:
    given = told(tmp_path)
    found = read(story.page(given))
    for step in given.steps:
        if not step.into:
            assert step.command in found.text
    assert f"lora_pref={recipe.PREF}: promoted" in found.text
    assert "adherence" in found.text
    assert "1 of 100" in found.text


def test_the_page_has_its_pictures_and_runs_nothing(tmp_path: Path) -> None:
    found = read(story.page(told(tmp_path)))
    assert found.tags.count("img") == 4
    assert not {"script", "b", "i", "svg"} & set(found.tags)


def test_of_a_line_that_was_written_over_the_last_state_is_told(tmp_path: Path) -> None:
    found = read(story.page(told(tmp_path)))
    assert "<i>all</i> of it" in found.text
    assert "0 %<i>" not in found.text


def test_the_ramp_goes_up_by_the_rollouts_own_steps() -> None:
    seen = ramp.moments(RECORDS, 1_000.0)
    assert [(each.event, each.weight) for each in seen] == [
        ("staged", 500),
        ("advanced", 5_000),
        ("promoted", 10_000),
    ]
    root = ET.fromstring(ramp.svg(seen, 123.0, "a <ramp>"))  # noqa: S314 -- our own picture
    assert "promoted after 120 s, then 100 %" in root.attrib["aria-label"]


def test_a_rollback_is_drawn_as_nothing_left() -> None:
    fell = ramp.moments([look(10, "rolled_back", "rolled_back", 1)], 1_000.0)
    assert fell[0].weight == 0


@pytest.mark.parametrize(
    ("lora", "pref", "chosen"),
    [
        (("pass", "fail"), ("pass", "pass"), "lora_pref=acme-lab-pref@v1"),
        (("pass", "fail"), ("fail", "pass"), "lora_pref=acme-lab-pref@v1"),
        (("pass", "pass"), ("pass", "fail"), "lora=acme-lab-lora@v1"),
    ],
)
def test_the_preferred_adapter_goes_on_unless_it_passes_fewer_gates(
    lora: tuple[Word, ...], pref: tuple[Word, ...], chosen: str
) -> None:
    candidate, why = better(verdict(recipe.LORA, *lora), verdict(recipe.PREF, *pref))
    assert candidate == chosen
    assert "of 2 gates" in why
