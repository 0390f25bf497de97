"""The page that tells what the lab did: one file, its pictures in it, no script."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.verdict import EvalVerdict, decode
from bench.canary import Seen
from evals.reports.tags import Html, join, prose, tag
from lab import ramp
from lab.recipe import RELEASE, Step, verdict_file
from lab.runner import Done, log_file

PAGE: Final = "index.html"
_LINES: Final = 40
"""Of a log, from its end."""
_MINUTE: Final = 60.0
_CLIP: Final = 1_000_000
"""Bytes of a picture that is put in; a larger one is a mistake."""


class Story(msgspec.Struct, frozen=True):
    """All that is told."""

    steps: Sequence[Step]
    done: Mapping[str, Done]
    refs: Sequence[str]
    """Adapters that were made, in order."""
    candidate: str
    why: str
    """Why this one went on to the canary."""
    home: Path


def page(story: Story) -> str:
    """The page; its text alone tells all that its pictures show."""
    canary = msgspec.json.decode((story.home / "canary.json").read_bytes(), type=Seen)
    verdicts = [verdict(story.home, ref) for ref in story.refs]
    body = tag(
        "body",
        tag(
            "div",
            tag("p", "Wastegate: the lab", class_="eyebrow"),
            tag("h1", _headline(story, canary)),
            _times(story),
            tag("main", *_parts(story)),
            tag("h2", "What the evals say"),
            _gates(verdicts),
            tag("p", prose(story.why)),
            tag("h2", "The canary"),
            _rollout(story, canary),
            class_="page",
        ),
    )
    return f"<!doctype html>\n{tag('html', _head(), body, lang='en')}\n"


def verdict(home: Path, ref: str) -> EvalVerdict:
    """What the gateway keeps of an adapter, as the lab has written it down.

    Raises:
        ManifestError: it is no verdict; the file is named.
    """
    path = verdict_file(home, ref)
    return decode(path.read_bytes(), str(path))


def total(done: Mapping[str, Done], steps: Sequence[Step]) -> float:
    """Seconds of the last run of each step."""
    return sum(done[step.name].seconds for step in steps if step.name in done)


def _head() -> Html:
    style = (files("evals.reports") / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
        " base-uri 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", "Wastegate: the lab"),
        tag("style", Html(style)),
    )


def _headline(story: Story, canary: Seen) -> str:
    phase = str(canary.rollout["phase"]).replace("_", " ")
    return f"{story.candidate}: {phase}"


def _times(story: Story) -> Html:
    seconds = total(story.done, story.steps)
    longest = sorted(
        (step for step in story.steps if step.name in story.done),
        key=lambda step: -story.done[step.name].seconds,
    )[:4]
    named = ", ".join(
        f"{step.name} {story.done[step.name].seconds / _MINUTE:.0f}" for step in longest
    )
    return tag(
        "p",
        f"{len(story.steps)} steps in {seconds / _MINUTE:.0f} minutes, the longest: "
        f"{named} minutes.",
    )


def _told(steps: Sequence[Step]) -> list[Step]:
    """All but those whose section comes at the end."""
    return [step for step in steps if step.part != RELEASE and not step.into]


def _parts(story: Story) -> list[Html]:
    return [
        tag("section", tag("h2", part), *(_step(story, step) for step in steps))
        for part, steps in groupby(_told(story.steps), key=lambda step: step.part)
    ]


def _step(story: Story, step: Step) -> Html:
    done = story.done[step.name]
    return tag(
        "div",
        tag("h3", step.title),
        tag("p", prose(step.why)),
        tag("p", tag("code", step.command)),
        tag("p", f"{done.seconds:.0f} s, ended {done.ended}", class_="key"),
        *(_picture(path, step.title) for path in step.pictures),
        _shares(step.shares) if step.shares else "",
        _said(log_file(story.home, step.name)),
    )


def _said(log: Path) -> Html:
    """The end of what a step said; of a line that was written over, what stayed."""
    lines = log.read_bytes().decode(errors="replace").split("\n")
    shown = [line.rpartition("\r")[2] for line in lines][-_LINES:]
    return tag(
        "details",
        tag("summary", "what it said"),
        tag("p", tag("code", "\n".join(shown).strip(), class_="text")),
    )


def _picture(path: Path, title: str) -> Html:
    raw = path.read_bytes()
    if len(raw) > _CLIP:
        return tag("p", f"{path} is too large to be shown")
    return _image(raw, f"{title}, as {path.name} draws it")


def _image(raw: bytes, said: str) -> Html:
    source = f"data:image/svg+xml;base64,{base64.b64encode(raw).decode()}"
    return tag("p", tag("img", src=source, alt=said, width="100%"))


def _shares(report: Path) -> Html:
    found: dict[str, Any] = msgspec.json.decode(report.read_bytes())
    rows = [
        tag(
            "tr",
            tag("th", name.replace("_", " "), scope="row"),
            tag("td", f"{100 * share['value']:.1f} %"),
            tag("td", f"[{100 * share['lower']:.1f}, {100 * share['upper']:.1f}]"),
            tag("td", str(share["n"])),
        )
        for name, share in found["shares"].items()
    ]
    return _table(("measure", "seen", "exact 95 %", "n"), rows)


def _gates(verdicts: Sequence[EvalVerdict]) -> Html:
    names = [gate.name for gate in verdicts[0].gates]
    found = [{gate.name: gate for gate in each.gates} for each in verdicts]
    rows: list[Html] = []
    for name in names:
        cells: list[Html] = [tag("td", found[0][name].asked)]
        for gates in found:
            gate = gates.get(name)
            cells.append(
                tag("td", "not judged")
                if gate is None
                else tag(
                    "td",
                    tag("span", gate.verdict, class_=f"badge {gate.verdict}"),
                    tag("span", f"{gate.seen} {gate.bounds}", class_="why"),
                )
            )
        rows.append(tag("tr", tag("th", name, scope="row"), *cells))
    return _table(("gate", "asked", *(str(each.ref) for each in verdicts)), rows)


def _rollout(story: Story, canary: Seen) -> Html:
    seen = ramp.moments(canary.records, canary.rollout["begun"])
    title = f"{story.candidate} of the tenant's requests"
    rows = [
        tag(
            "tr",
            tag("th", each["measure"], scope="row"),
            tag("td", each["verdict"]),
            tag("td", "{} of {}".format(each["candidate"][0], sum(each["candidate"]))),
        )
        for each in canary.records[-1]["readings"]
    ]
    steps = [step for step in story.steps if step.part == RELEASE]
    overridden = canary.rollout["overridden"]
    return join(
        (
            *(tag("p", f"{step.why} ", tag("code", step.command)) for step in steps),
            _image(
                ramp.svg(seen, canary.seconds, title).encode(),
                "; ".join(f"{m.event} after {m.after:.0f} s" for m in seen),
            ),
            _table(("gate", "verdict", "failures of the candidate"), rows),
            tag("p", f"Ended: {canary.rollout['ended']}."),
            tag("p", f"Not held to: {'; '.join(canary.rollout['left_out'])}."),
            tag("p", f"Started although: {overridden}.") if overridden else "",
        )
    )


def _table(heads: Sequence[str], rows: Sequence[Html]) -> Html:
    head = tag("tr", *(tag("th", each, scope="col") for each in heads))
    return tag(
        "div",
        tag("table", tag("thead", head), tag("tbody", *rows)),
        class_="scroll",
    )
