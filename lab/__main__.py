"""The lab, one command: `make lab`, or `python -m lab` beside a stack that is up.

Curate, tune, judge, prefer, judge again, publish, register, canary; then a page that
tells it, `var/lab/index.html`. What is done stays done: the same command goes on.

Exit codes: 0 the candidate was promoted, 1 a step failed, 2 bad usage, 3 it was rolled
back, 130 interrupted.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from adapters.errors import AdapterError
from adapters.verdict import EvalVerdict
from bench.canary import ROLLED_BACK, Seen
from lab import recipe, story
from lab.errors import LabError
from lab.runner import Runner, clock

INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, or say what it would run."""
    options = _parser().parse_args(arguments)
    # SIGINT too: where a shell has put it into the background it would be ignored.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    home: Path = options.home
    if options.list:
        for step in (*recipe.prepare(home), *recipe.release(home, "GENERATOR=REF")):
            sys.stdout.write(f"{step.name:22} {step.command}\n")
        return 0
    try:
        return _run(home)
    except (LabError, AdapterError, OSError) as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("lab: interrupted; the same command goes on\n")
        return INTERRUPTED


def better(lora: EvalVerdict, pref: EvalVerdict) -> tuple[str, str]:
    """Which of the two goes on, as `GENERATOR=REF`, and why.

    The preferred one was made to be better; it is taken unless it passes fewer gates.
    """
    passed = [sum(g.verdict == "pass" for g in each.gates) for each in (lora, pref)]
    said = (
        f"`{lora.ref}` passes {passed[0]} of {len(lora.gates)} gates, `{pref.ref}`"
        f" {passed[1]} of {len(pref.gates)}"
    )
    if passed[1] >= passed[0]:
        return f"lora_pref={pref.ref}", f"{said}: the preferred one goes on."
    return f"lora={lora.ref}", f"{said}: the supervised one goes on."


def _run(home: Path) -> int:
    runner = Runner(home, now=clock)
    first = recipe.prepare(home)
    count = len(first) + len(recipe.release(home, ""))
    runner.run(first, of=count)
    refs = (recipe.LORA, recipe.PREF)
    lora, pref = (story.verdict(home, ref) for ref in refs)
    candidate, why = better(lora, pref)
    last = recipe.release(home, candidate)
    runner.run(last, of=count, before=len(first))
    told = story.Story(
        steps=(*first, *last),
        done=runner.records(),
        refs=refs,
        candidate=candidate,
        why=why,
        home=home,
    )
    (home / story.PAGE).write_text(story.page(told), encoding="utf-8")
    ended = msgspec.json.decode((home / "canary.json").read_bytes(), type=Seen).rollout
    minutes = story.total(told.done, told.steps) / 60
    sys.stdout.write(
        f"{candidate}: {ended['phase']} ({ended['ended']}); all of it took"
        f" {minutes:.0f} minutes. The story: {home / story.PAGE}\n"
    )
    if ended["phase"] != "promoted":
        sys.stdout.write(f"another canary: rm {home}/canary.json, and the same again\n")
        return ROLLED_BACK
    ref = candidate.partition("=")[2]
    sys.stdout.write(f"take it back: {recipe.WASTEGATE} rollback {ref}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument(
        "--home", type=Path, default=recipe.HOME, help="directory of work [%(default)s]"
    )
    parser.add_argument("--list", action="store_true", help="say the steps, run none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
