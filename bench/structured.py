"""What repair makes of broken texts, beside `json_repair`: outcomes, and what they cost."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import json_repair

from bench.corruptions import CLASSES, CONTEXT, Case, cases, instances
from bench.errors import BenchError
from evals.statistics import upper
from structured.check import check
from structured.errors import ParseError
from structured.outcome import Accepted
from structured.parse import parse
from structured.schema import Schema, compile_schema

OUT: Final = Path("docs/structured.md")
SCHEMAS: Final = 600
BAR: Final = 0.99
"""What a class with one reading must be exact in."""

_COERCED: Final = ("loose price", "loose citations", "loose status")
ONE_READING: Final = {k for k, (one, _) in CLASSES.items() if one} | {*_COERCED}

EXACT, REFUSED, FLAGGED, SILENT, OTHER = (
    "exact",
    "refused",
    "flagged",
    "silent",
    "other",
)
Tally = dict[str, tuple[Counter[str], Counter[str]]]


class Result(NamedTuple):
    """The report, and whether each bar was reached."""

    report: str
    passed: bool


def run(seed: int, progress: Callable[[str], None]) -> Result:
    """Break, repair, judge, time; write `OUT`."""
    originals = instances(seed, SCHEMAS)
    tally: Tally = {}
    started = time.perf_counter()
    for number, case in enumerate(cases(originals, seed + 1)):
        ours, theirs = tally.setdefault(case.kind, (Counter(), Counter()))
        ours[_ours(case)] += 1
        theirs[_theirs(case)] += 1
        if number % 5_000 == 0:
            progress(f"{number:,} texts, {time.perf_counter() - started:.0f} s")
    progress("timing")
    failures = [
        f"{kind}: {ours[SILENT]} silently wrong"
        for kind, (ours, _) in tally.items()
        if ours[SILENT]
    ] + [
        f"{kind}: exact in {ours[EXACT]} of {sum(ours.values())}"
        for kind, (ours, _) in tally.items()
        if kind in ONE_READING and ours[EXACT] < BAR * sum(ours.values())
    ]
    text = _report(tally, failures, seed, _timings())
    OUT.write_text(text, encoding="utf-8")
    return Result(text, not failures)


def _ours(case: Case) -> str:
    outcome = check(
        case.raw,
        case.original.schema,
        context_ids=CONTEXT,
        finish_reason=case.finish_reason,
        repair=True,
    )
    if not isinstance(outcome, Accepted):
        return REFUSED
    if _same(outcome.value, case.original.value):
        return EXACT
    if outcome.repairs:
        return FLAGGED
    # strict JSON that fits as it is, and says something else: nothing was repaired,
    # and nothing in the text shows that it was ever another one
    return OTHER if outcome.raw == case.raw else SILENT


def _theirs(case: Case) -> str:
    """The library's verdict: it flags nothing, so what fits and differs is silent."""
    try:
        value: Any = json_repair.loads(case.raw.decode("utf-8", "replace"))
        if case.original.schema.errors(value) is not None:
            return REFUSED
    except (ValueError, RecursionError, ParseError):
        return REFUSED
    if _same(value, case.original.value):
        return EXACT
    return OTHER if _strict(case.raw) else SILENT


def _same(value: object, original: object) -> bool:
    # repr tells 1 from 1.0 and from true, which == does not; order does not matter
    return repr(_sorted(value)) == repr(_sorted(original))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return sorted((key, _sorted(each)) for key, each in members.items())
    if isinstance(value, list):
        return [_sorted(each) for each in cast("list[Any]", value)]
    return value


def _strict(raw: bytes) -> bool:
    try:
        parse(raw)
    except ParseError:
        return False
    return True


# ------------------------------------------------------------------------- the timings


class Timing(NamedTuple):
    """Milliseconds of one text: ours, median and worst, and the library's, once."""

    name: str
    size: int
    median: float
    worst: float
    library: float | None


def _timings() -> list[Timing]:
    document = json.loads(Path("schemas/assist.json").read_bytes())
    document["properties"]["answer"] = {"type": "string"}  # as long as it takes
    assist = compile_schema(json.dumps(document).encode(), name="assist")
    anything = compile_schema(b"true", name="anything")
    ids = frozenset({"S1"})
    sentence = 'The kettle holds 1.7 litres, "more or less", and isn\'t loud. '
    answer = {"status": "ok", "answer": (sentence * 70)[:3_950], "citations": ["S1"]}
    valid = json.dumps(answer).encode()
    items = [{"id": n, "name": f"item {n}", "ok": True} for n in range(95)]
    dense = json.dumps({"items": items}).encode()
    return [
        _timed("S2, an answer", valid, assist, ids, 400),
        _timed("S2, 95 small objects", dense, anything, None, 400),
        _timed(
            "repair, an answer in a fence",
            b"```json\n" + valid + b"\n```",
            assist,
            ids,
            100,
        ),
        _timed(
            "repair, an answer, trailing comma", valid[:-1] + b",}", assist, ids, 100
        ),
        _timed("repair, an answer, single quotes", _quoted(answer), assist, ids, 100),
        _timed(
            "repair, 95 small objects, a comma", dense[:-1] + b",}", anything, None, 100
        ),
        *(
            _timed(f"64 KiB: {name}", raw, anything, None, 3)
            for name, raw in _hostile()
        ),
    ]


def _quoted(answer: dict[str, Any]) -> bytes:
    return repr(answer).encode()


def _hostile() -> Iterator[tuple[str, bytes]]:
    size = 64 * 1024
    for name, piece in {
        "`[],`": b"[],", "`1,`": b"1,", '`1 "" `': b'1 "" ', "`'',`": b"'',", "`True,`": b"True,",
        '`{"a":1,},`': b'{"a":1,},', "`'\"`": b"'\"", "`[`": b"[", "`{a} `": b"{a} ",
        '`{"a":`': b'{"a":', "backslashes": b"\\", "fences": b"```\n", "blanks": b" ",
    }.items():  # fmt: skip
        yield name, (b"[" + piece * (size // len(piece)))[: size - 2] + b",]"
    yield "raw newlines in a string", b'["' + b"\n" * (size - 5) + b'",]'
    yield "quotes in single quotes", b"['" + b'"' * (size - 5) + b"',]"
    yield "escapes in single quotes", b"['" + b'\\"' * (size // 2 - 5) + b"',]"
    yield "eight of the same", (b"[" + b"1," * 4_000 + b"]\n") * 8


def _timed(
    name: str, raw: bytes, schema: Schema, ids: frozenset[str] | None, times: int
) -> Timing:
    taken: list[float] = []
    for _ in range(times):
        began = time.process_time()
        check(raw, schema, context_ids=ids, finish_reason="stop", repair=True)
        taken.append((time.process_time() - began) * 1e3)
    taken.sort()
    library = None
    if len(raw) < 10_000:  # noqa: PLR2004 -- on some of the long ones it does not end
        began = time.process_time()
        json_repair.loads(raw.decode())
        library = (time.process_time() - began) * 1e3
    return Timing(name, len(raw), taken[len(taken) // 2], taken[-1], library)


# -------------------------------------------------------------------------- the report


def _report(tally: Tally, failures: list[str], seed: int, timings: list[Timing]) -> str:
    total, theirs = Counter[str](), Counter[str]()
    for ours, library in tally.values():
        total += ours
        theirs += library
    n = sum(total.values())
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    lines = [
        "# What repair makes of broken texts",
        "",
        (
            f"Made on {today} by `make bench-structured`: {n:,} texts from {SCHEMAS} schemas"
            f" with an instance each, seed {seed}. Beside it, on the same texts, json_repair"
            f" {version('json_repair')} and the same schema."
        ),
        "",
        (
            "Each instance is broken in every class that applies to it, and cut at each tenth"
            " of its length. **exact**: the original came back, types included. **refused**:"
            " a typed error. **flagged**: another value, with its repairs listed."
            " **silent**: another value, and nothing says so. **other**: the broken text is"
            " itself strict JSON that fits, so that no checker can know. A class in bold"
            f" has one reading, and has to be exact in {BAR:.0%}. json_repair flags nothing:"
            " what it returns is exact, does not fit the schema (refused), or is silent."
        ),
        "",
        "| class | n | exact | refused | flagged | silent | other | json_repair: exact | refused | silent | other |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, (ours, library) in tally.items():
        name = f"**{kind}**" if kind in ONE_READING else kind
        lines.append(_row(name, ours, library))
    lines += [
        _row("all", total, theirs),
        "",
        (
            f"Silently wrong: {total[SILENT]} of {n:,}, at most {upper(total[SILENT], n):.4%}"
            f" with 95 % confidence; json_repair: {theirs[SILENT]:,} ({theirs[SILENT] / n:.1%})."
        ),
        "",
        *([*(f"MISSED: {each}" for each in failures), ""] if failures else []),
        "CPU time on this machine, milliseconds; the median and the worst of all runs:",
        "",
        "| text | bytes | median | worst | json_repair |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {one.name} | {one.size:,} | {one.median:.3f} | {one.worst:.3f} |"
            f" {'-' if one.library is None else f'{one.library:.1f}'} |"
            for one in timings
        ),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, ours: Counter[str], theirs: Counter[str]) -> str:
    counts = [ours[k] for k in (EXACT, REFUSED, FLAGGED, SILENT, OTHER)]
    counts += [theirs[k] for k in (EXACT, REFUSED, SILENT, OTHER)]
    return (
        f"| {name} | {sum(ours.values()):,} | "
        + " | ".join(f"{c:,}" for c in counts)
        + " |"
    )


def main(seed: int) -> int:
    """Run and print; the exit code."""

    def progress(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    if not Path("schemas/assist.json").is_file():
        raise BenchError("run it from the repository's root")
    done = run(seed, progress)
    sys.stdout.write(done.report)
    return 0 if done.passed else 1
