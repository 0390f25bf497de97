"""`python -m training curate`: raw examples in, splits, card and funnel out."""

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from training import examples
from training.curate import croissant, picture, pipeline, planted, records
from training.curate.funnel import Step
from training.curate.pii import Scrubber
from training.curate.pipeline import Curated
from training.errors import ConfigError
from training.examples import Split
from training.files import whole_directory

KEY: Final = "WASTEGATE_PII_KEY"
LEAST: Final = 16
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")


def run(
    raw: Sequence[Path],
    *,
    config: Path,
    out: Path,
    held_out: Sequence[Path],
    today: dt.date,
) -> Curated:
    """Curate files into a directory, which is there whole or not at all.

    Args:
        raw: JSON lines of raw examples.
        config: the plan.
        out: directory to make: train, val and test.jsonl, dropped.jsonl, card.json
            (Croissant), funnel.svg.
        held_out: raw examples of tests elsewhere.
        today: for the card.

    Raises:
        DataError, ConfigError: see `training.errors`.
    """
    plan = pipeline.load(config)
    found = [record for path in raw for record in records.load(path)]
    away = [record for path in held_out for record in records.load(path)]
    curated = pipeline.curate(found, plan, Scrubber(_key()), away)
    files: dict[Split, bytes] = {
        split: examples.dumps(pipeline.examples(curated, split)) for split in SPLITS
    }
    card = croissant.card(curated, files, out.name, today)
    with whole_directory(out) as draft:
        for split, content in files.items():
            (draft / f"{split}.jsonl").write_bytes(content)
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in curated.dropped)
        (draft / "dropped.jsonl").write_bytes(lines)
        text = msgspec.json.format(msgspec.json.encode(card), indent=2)
        (draft / "card.json").write_bytes(text + b"\n")
        drawn = picture.svg(curated.steps, f"Curation of {out.name}")
        (draft / "funnel.svg").write_text(drawn, encoding="utf-8")
    return curated


def told(curated: Curated) -> str:
    """The funnel for a terminal."""
    lines = [f"{'step':<22}{'came':>7}{'left':>7}{'changed':>9}  why not"]
    lines += [_line(step) for step in curated.steps]
    sizes = ", ".join(
        f"{split} {len(found)}" for split, found in curated.splits.items()
    )
    pieces = ", ".join(f"{n} {kind}" for kind, n in sorted(curated.scrubbed.items()))
    lines += [sizes, f"made pseudonyms: {pieces or 'nothing'}"]
    return "\n".join(lines)


def recall() -> str:
    """What the scrubber finds of what is planted, for a terminal."""
    head = f"{'planted':<18}{'n':>6}{'taken':>7}   exact 95 % bounds"
    rows = [
        f"{row.kind:<18}{row.planted:>6}{row.found / row.planted:>7.1%}"
        f"   [{row.low:.1%}, {row.high:.1%}]"
        for row in planted.measure()
    ]
    return "\n".join([head, *rows])


def _line(step: Step) -> str:
    why = ", ".join(f"{count} {what}" for what, count in step.reasons.items())
    return (
        f"{step.name:<22}{step.came:>7}{step.left:>7}{step.changed:>9}  {why}".rstrip()
    )


def _key() -> bytes:
    key = os.environ.get(KEY, "").encode()
    if len(key) < LEAST:
        raise ConfigError(
            f"{KEY} has to be set, to a secret of {LEAST} bytes or more: pseudonyms are"
            " made with it, the same ones for the same key. For one:"
            f" export {KEY}=$(openssl rand -hex 16)"
        )
    return key
