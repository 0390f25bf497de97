"""How often the gates of a rollout are wrong, and how soon right: `python -m bench gates`.

The odds are those of `routing.evidence`, the thresholds those of `routing.gates`; only
the sums are numpy's, over all runs at once. Beside them the naive rule: the point
estimate is beyond the bound at any look after the first hundred.
"""

import math
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.exact import ever
from routing import gates
from routing.evidence import Odds, among, log_ratio, log_shift, rate, ratio, share
from routing.gates import ALPHA_GOOD, ALPHA_HARM, ALPHA_SPLIT, CHANGE_TRIALS

OUT: Final = Path("docs/gates.md")
RUNS: Final = 2_000
LOOKS: Final = 20_000
SEED: Final = 2026
NAIVE_FROM: Final = 100
NEVER: Final = np.iinfo(np.int64).max
BOUND: Final = 0.01
"""Of adherence, as the naive rule has it."""
HEALTHY: Final = 0.005
"""Failures of a good candidate."""
PART: Final = 0.5
"""The candidate's share in the simulations with a control."""

EVERY: Final = 100
"""Outputs between two looks at their tokens."""

Draws = NDArray[np.bool_]
Values = NDArray[np.float64]
Times = NDArray[np.int64]
"""Of each run the trial at which it happened, or `NEVER`."""

_BOUNDS: Final = {gate.measure: gate for gate in gates.GATES}
_ROWS_AT_ONCE: Final = 50
_PLENTY: Final = 50.0


def crossed(odds: Odds, draws: Draws, alpha: float) -> Times:
    """When the evidence first reached 1 / alpha, with a look after each trial."""
    found = np.full(len(draws), NEVER)
    hit, miss = np.array(odds.hit), np.array(odds.miss)
    for start in range(0, len(draws), _ROWS_AT_ONCE):
        hits = np.cumsum(draws[start : start + _ROWS_AT_ONCE], axis=1)
        misses = _numbers(draws.shape[1]) - hits
        sums = hits[..., None] * hit + misses[..., None] * miss
        # what is far over the threshold is over it, and exp would overflow
        over = np.exp(np.minimum(sums, _PLENTY)).mean(axis=2) >= 1 / alpha
        found[start : start + len(hits)] = _first(over)
    return found


def changed(odds: Odds, draws: Draws, threshold: float) -> Times:
    """When the detector of changes first reached its threshold, trial by trial."""
    found = np.full(len(draws), NEVER)
    hit, miss = np.array(odds.hit), np.array(odds.miss)
    sums = np.zeros((len(draws), len(hit)))
    for at in range(draws.shape[1]):
        sums = np.maximum(sums, 0) + np.where(draws[:, at, None], hit, miss)
        # the mean is at most the largest, so most looks end here
        for row in np.flatnonzero(sums.max(axis=1) >= math.log(threshold)):
            if found[row] == NEVER and np.exp(sums[row]).mean() >= threshold:
                found[row] = at + 1
    return found


def naive(bound: float, draws: Draws) -> Times:
    """When the point estimate was first above the bound after the first looks."""
    over = np.cumsum(draws, axis=1) > bound * _numbers(draws.shape[1])
    over[:, :NAIVE_FROM] = False
    return _first(over)


def longer(candidate: Values, control: Values, bound: float) -> Times:
    """When the tokens of an output were first proved above a ratio to the control's.

    A look after every hundredth pair of outputs.
    """
    at = _numbers(candidate.shape[1])[EVERY - 1 :: EVERY]
    sums = [
        (np.cumsum(values, axis=1)[:, at - 1], np.cumsum(values**2, axis=1)[:, at - 1])
        for values in (candidate, control)
    ]
    found = np.full(len(candidate), NEVER)
    for run in range(len(candidate)):
        for look, n in enumerate(at.tolist()):
            one, other = (
                (n, float(total[run, look]), float(squares[run, look]))
                for total, squares in sums
            )
            estimate = log_ratio(one, other)
            if estimate is None:
                continue
            if log_shift(estimate, math.log(bound), "above") >= -math.log(ALPHA_HARM):
                found[run] = n
                break
    return found


def _numbers(count: int) -> Times:
    """1 to `count`."""
    return np.arange(1, count + 1, dtype=np.int64)


def _first(over: Draws) -> Times:
    return np.where(over.any(axis=1), over.argmax(axis=1) + 1, NEVER).astype(np.int64)


class Line(msgspec.Struct, frozen=True):
    """One figure with its bar."""

    what: str
    ours: str
    bar: str
    kept: bool
    naive: str = ""


def main(seed: int = SEED, runs: int = RUNS, looks: int = LOOKS) -> int:
    """Simulate, write `OUT`, print it; 1 if a bar is missed."""
    rng = np.random.default_rng(seed)
    parts: Sequence[tuple[str, Callable[[], list[Line]]]] = (
        ("exact", lambda: _exact(looks)),
        ("A/A", lambda: _same(rng, runs, looks)),
        ("detection", lambda: _detection(rng, runs)),
        ("promotion", lambda: _promotion(rng, runs, looks)),
        ("change", lambda: _change(rng, runs)),
        ("clusters", lambda: _clusters(rng, runs)),
    )
    lines: list[Line] = []
    for name, part in parts:
        sys.stderr.write(f"gates: {name} ...\n")
        lines += part()
    text = _report(lines, seed, runs, looks)
    OUT.write_text(text)
    sys.stdout.write(text)
    return 0 if all(line.kept for line in lines) else 1


def _exact(looks: int) -> list[Line]:
    lines: list[Line] = []

    def add(what: str, odds: Odds, hit: float, alpha: float) -> None:
        chance = ever(odds, hit, alpha, looks)
        lines.append(Line(what, f"{chance:.4f}", f"≤ {alpha}", chance <= alpha))

    for gate in gates.GATES:
        name = gate.measure
        if name == "tokens":
            continue
        if name in ("errors", "ttft"):
            odds, hit = ratio(gate.harm, "harm", PART), among(gate.harm, PART)
            add(f"{name}: harm, true ratio {gate.harm}", odds, hit, ALPHA_HARM)
        else:
            odds = rate(gate.harm, "harm")
            add(f"{name}: harm, true rate {gate.harm}", odds, gate.harm, ALPHA_HARM)
        if name == "ttft":
            odds, hit = ratio(gate.good, "good", PART), among(gate.good, PART)
            add(f"{name}: good, true ratio {gate.good}", odds, hit, ALPHA_GOOD)
        else:
            odds = rate(gate.good, "good")
            add(f"{name}: good, true rate {gate.good}", odds, gate.good, ALPHA_GOOD)
    for part in (0.05, 0.25, 0.5):
        add(f"split: true share {part}", share(part), part, ALPHA_SPLIT)
    return lines


def _same(rng: np.random.Generator, runs: int, looks: int) -> list[Line]:
    """The candidate is the control, and its rates are just what is allowed."""
    wrong = np.zeros(runs, dtype=bool)
    late = np.zeros(runs, dtype=bool)
    for name in ("adherence", "repairs", "citations"):
        bound = _BOUNDS[name].harm
        draws = rng.random((runs, looks)) < bound
        odds = rate(bound, "harm")
        wrong |= crossed(odds, draws, ALPHA_HARM) != NEVER
        late |= changed(rate(bound, "change"), draws, CHANGE_TRIALS) != NEVER
    for name, failing in (("errors", 0.005), ("ttft", 0.05)):
        # of the failures of both arms, those of a candidate like the control
        failures = int(looks / PART * failing)
        bound = _BOUNDS[name].harm
        draws = rng.random((runs, failures)) < PART
        odds = ratio(bound, "harm", PART)
        wrong |= crossed(odds, draws, ALPHA_HARM) != NEVER
        odds = ratio(bound, "change", PART)
        late |= changed(odds, draws, CHANGE_TRIALS) != NEVER
    for start in range(0, runs, _ROWS_AT_ONCE):
        shape = (min(_ROWS_AT_ONCE, runs - start), looks)
        tokens = [rng.lognormal(4, 0.5, shape) for _ in range(2)]
        over = longer(tokens[0], tokens[1], _BOUNDS["tokens"].harm) != NEVER
        wrong[start : start + shape[0]] |= over
    healthy = rng.random((runs, looks)) < HEALTHY
    plain = naive(BOUND, healthy) != NEVER
    bar = 0.06 + 3 * math.sqrt(0.06 * 0.94 / runs)
    return [
        _share("A/A: any gate rolls back, on its bounds", wrong, bar, ""),
        _share("... the detectors of changes included", wrong | late, bar, ""),
        Line(
            "A/A at adherence .995: the same, one gate",
            _percent(crossed(rate(BOUND, "harm"), healthy, ALPHA_HARM) != NEVER),
            "",
            kept=True,
            naive=_percent(plain),
        ),
    ]


def _detection(rng: np.random.Generator, runs: int) -> list[Line]:
    lines: list[Line] = []
    odds = rate(_BOUNDS["adherence"].harm, "harm")
    bars = {0.98: (math.inf, math.inf), 0.97: (450, 1200), 0.95: (math.inf,) * 2}
    for truth, (half, most) in {**bars, 0.9: (math.inf, 130)}.items():
        draws = rng.random((runs, 8_000)) < 1 - truth
        times, plain = crossed(odds, draws, ALPHA_HARM), naive(BOUND, draws)
        p50, p95 = np.percentile(times, [50, 95])
        told = [f"p50 ≤ {half}"] * (half < math.inf) + [f"p95 ≤ {most}"] * (
            most < math.inf
        )
        kept = bool(p50 <= half and p95 <= most)
        what = f"units to the rollback at adherence {truth}, p50 / p95"
        lines.append(Line(what, _both(times), ", ".join(told), kept, _both(plain)))
    return lines


def _promotion(rng: np.random.Generator, runs: int, looks: int) -> list[Line]:
    bound = _BOUNDS["adherence"].good
    odds = rate(bound, "good")
    bad = rng.random((runs, looks)) < bound
    good = rng.random((runs, 8_000)) < HEALTHY
    bar = ALPHA_GOOD + 3 * math.sqrt(ALPHA_GOOD * (1 - ALPHA_GOOD) / runs)
    return [
        _share(
            f"adherence {1 - bound}: ever proved good",
            crossed(odds, bad, ALPHA_GOOD) != NEVER,
            bar,
            # the naive rule passes whatever is within the bound after its first looks
            _percent(bad[:, :NAIVE_FROM].mean(axis=1) <= BOUND),
        ),
        Line(
            "units to the proof of good at adherence .995, p50 / p95",
            _both(crossed(odds, good, ALPHA_GOOD)),
            "",
            kept=True,
            naive=str(NAIVE_FROM),
        ),
    ]


def _change(rng: np.random.Generator, runs: int) -> list[Line]:
    """3,000 good units, then adherence .97."""
    good, looks = 3_000, 9_000
    draws = rng.random((runs, looks)) < np.where(_numbers(looks) <= good, HEALTHY, 0.03)
    odds = rate(_BOUNDS["adherence"].harm, "harm")
    alone = crossed(odds, draws, ALPHA_HARM)
    since = rate(_BOUNDS["adherence"].harm, "change")
    both = np.minimum(alone, changed(since, draws, CHANGE_TRIALS))
    plain = naive(BOUND, draws)
    half = float(np.percentile(both, 50)) - good
    return [
        Line(
            ".995 for 3,000 units, then .97: units until noticed, p50 / p95",
            _both(both, good),
            "p50 ≤ 800",
            half <= 800,  # noqa: PLR2004 -- the bar
            f"{_both(plain[plain > good], good)}; {_percent(plain <= good)} before",
        ),
        Line("... without the detector of changes", _both(alone, good), "", kept=True),
    ]


def _clusters(rng: np.random.Generator, runs: int) -> list[Line]:
    """Conversations of eight turns whose failures are correlated by .2."""
    turns, conversations, at, alike = 8, 1_000, 0.01, 0.2
    spread = (1 - alike) / alike
    rates = rng.beta(at * spread, (1 - at) * spread, (runs, conversations))
    draws = rng.random((runs, conversations, turns)) < rates[..., None]
    odds = rate(at, "harm")
    each = crossed(odds, draws.reshape(runs, -1), ALPHA_HARM) != NEVER
    once = crossed(odds, draws[:, :, 0].copy(), ALPHA_HARM) != NEVER
    bar = ALPHA_HARM + 3 * math.sqrt(ALPHA_HARM * (1 - ALPHA_HARM) / runs)
    what = "8 turns correlated by .2, 1,000 conversations: false rollbacks"
    return [_share(what, once, bar, f"{_percent(each)} with each turn a trial")]


def _share(what: str, happened: Draws, bar: float, beside: str) -> Line:
    kept = bool(happened.mean() <= bar)
    return Line(what, _percent(happened), f"≤ {bar:.1%}", kept, beside)


def _percent(happened: Draws) -> str:
    return f"{happened.mean():.1%}"


def _both(times: Times, after: int = 0) -> str:
    found = np.percentile(times, [50, 95])
    return " / ".join(
        "never" if each >= NEVER / 2 else f"{each - after:,.0f}" for each in found
    )


def _report(lines: Sequence[Line], seed: int, runs: int, looks: int) -> str:
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    missed = [f"MISSED: {line.what}: {line.ours}" for line in lines if not line.kept]
    return "\n".join(
        [
            "# How often the gates are wrong, and how soon right",
            "",
            (
                f"Made on {today} by `python -m bench gates --seed {seed}`. The first rows"
                f" are exact, by a dynamic program over {looks:,} looks; the others are"
                f" simulations of {runs:,} runs (A/A: {looks:,} units each). **naive**: the"
                f" point estimate of adherence is below .99 at any look after the first"
                f" {NAIVE_FROM}."
            ),
            "",
            "| what | ours | bar | naive |",
            "|---|--:|--:|--:|",
            *(
                f"| {line.what} | {line.ours} | {line.bar} | {line.naive} |"
                for line in lines
            ),
            "",
            *missed,
            *([""] if missed else []),
        ]
    )
