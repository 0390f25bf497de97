"""Make the suite's samples, or look whether a set of samples is held out.

The same seed gives the same bytes. With --against, near-duplicates of training data are
looked for, and the exit code is 1 when there are any; --purge leaves them out.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from evals import leakage, samples
from evals.data.generate import SEED, dumps, generate
from evals.errors import SetupError
from evals.options import share
from evals.samples import Sample

OUT: Final = Path("var/evals/suite.jsonl")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it can be told."""
    add = parser.add_argument
    add("--out", type=Path, default=OUT, metavar="FILE", help="[%(default)s]")
    add("--seed", type=int, default=SEED, help="[%(default)s]")
    add("--scale", type=share, default=1.0, help="of all numbers [%(default)s]")
    add("--samples", type=Path, metavar="FILE", help="look at these instead")
    add("--against", type=Path, nargs="+", metavar="FILE", help="training data")
    add("--purge", action="store_true", help="leave near-duplicates out")
    add("--json", action="store_true", help="print what was found as JSON")


def run(options: argparse.Namespace, console: Console) -> int:
    """Make, look, write; 1 when something is not held out."""
    made = _made(options)
    held_out = True
    if options.against:
        seen = tuple(line for path in options.against for line in leakage.read(path))
        if options.purge:
            before, made = len(made), leakage.purge(made, seen)
            console.print(f"purged: {before - len(made)}", highlight=False)
        found = leakage.report(made, seen)
        held_out = found.is_clean
        text = (
            msgspec.json.encode(found).decode() if options.json else leakage.text(found)
        )
        sys.stdout.write(f"{text}\n")
    elif options.purge:
        raise SetupError("--purge needs --against: what is to be kept apart?")
    if not options.samples or options.purge:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_bytes(dumps(made))
        console.print(_told(made, options.out), markup=False, highlight=False)
    return 0 if held_out else 1


def _made(options: argparse.Namespace) -> tuple[Sample, ...]:
    if options.samples:
        return samples.load(options.samples)
    return generate(options.seed, options.scale)


def _told(made: tuple[Sample, ...], path: Path) -> str:
    counts = Counter(sample.task for sample in made)
    tasks = ", ".join(f"{task} {count}" for task, count in counts.items())
    return f"{path}: {len(made)} samples (digest {samples.digest(made)[:12]}): {tasks}"
