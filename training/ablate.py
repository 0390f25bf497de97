"""Ablations: what each part of a configuration is worth, at an equal budget.

Variants of one configuration are trained on the same examples for as many steps, each
with the same seeds, and asked the same held-out examples. What is finished stays, so a
plan that was interrupted goes on; the table says for each measure the mean over seeds
and the lowest and the highest, since three seeds carry no narrower claim.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from training import config as configs, quickcheck, record
from training.config import RunConfig
from training.errors import ConfigError
from training.run import Places, run

MEASURES: Final = {
    "schema_adherence": "adherence",
    "status_right": "status",
    "refused_when_due": "refusals",
    "citations_right": "citations",
    "value_right": "values",
}
"""Shares of a check, by the table's heading."""
_NEVER: Final = {"every": 1_000_000, "examples": 1, "patience": 1}
"""Looks that no run is long enough for."""


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a configuration differs from the plan's own."""

    change: dict[str, Any] = {}
    """Keys that are set; a table's keys are merged into the table that is there."""
    without: tuple[str, ...] = ()
    """Keys and tables that are left out."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of a plan's file."""

    config: str
    """Path of the configuration that variants differ from."""
    examples: Annotated[int, Meta(ge=2)]
    """So many of the curated set, evenly over it; the budget, with `epochs`."""
    epochs: Annotated[int, Meta(ge=1)]
    seeds: Annotated[tuple[int, ...], Meta(min_length=1)]
    asked: Annotated[int, Meta(ge=1)]
    """Held-out examples that each run is asked."""
    variants: dict[str, Variant]


class Seen(msgspec.Struct, frozen=True):
    """One variant's runs, a value a seed."""

    name: str
    shares: Mapping[str, Sequence[float]]
    tokens: Sequence[float]
    """Mean tokens an output."""
    speed: Sequence[float]
    """Tokens read a second, in training."""


def load(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: naming file, key and what would be right.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Plan)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def config_of(plan: Plan, name: str, seed: int) -> RunConfig:
    """The configuration of one run of a plan.

    Raises:
        ConfigError: a variant makes of it what is none.
    """
    whole = configs.load(Path(plan.config))
    values: dict[str, Any] = msgspec.to_builtins(whole)
    variant = plan.variants[name]
    for key in variant.without:
        values.pop(key, None)
    for key, value in variant.change.items():
        old = values.get(key)
        values[key] = old | value if isinstance(old, dict) else value
    values["seed"] = seed
    values["ref"] = f"ablation-{name}-s{seed}@v1"
    values["optim"] = values["optim"] | {"epochs": plan.epochs}
    values["curated"] = values["curated"] | {"limit": plan.examples}
    # Every variant gets the whole budget: none ends early, none picks its best look.
    # Without any, the loss at each epoch's end costs as much as 30 steps.
    values["looks"] = _NEVER
    try:
        made = msgspec.convert(values, RunConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"variant {name}: {error}") from error
    if wrong := configs.wrong(made):
        raise ConfigError(f"variant {name}: {wrong}")
    return made


def ablate(plan: Plan, base: Path, data: Path, out: Path) -> tuple[Seen, ...]:
    """Train and ask every variant with every seed, or what of them is left.

    Args:
        plan: what to compare.
        base: the prepared base.
        data: the curated set; its test split is asked.
        out: a directory of runs and checks, which stay.
    """
    # Seed by seed: what an interrupted plan has, it has of every variant.
    todo = [(name, seed) for seed in plan.seeds for name in plan.variants]
    for number, (name, seed) in enumerate(todo, start=1):
        print(f"[{number}/{len(todo)}] {name}, seed {seed}", flush=True)  # noqa: T201 - a worker's progress
        _one(config_of(plan, name, seed), Places(base, out, data), plan.asked)
    return tuple(_seen(name, plan, out) for name in plan.variants)


def table(seen: Sequence[Seen], plan: Plan) -> str:
    """The variants as Markdown: mean, lowest and highest over the seeds."""
    heads = [*MEASURES.values(), "tokens/output", "tokens/s"]
    rows = [
        _row(
            each.name,
            *(_share(each.shares[key]) for key in MEASURES),
            _range(each.tokens, 1),
            _range(each.speed, 0),
        )
        for each in seen
    ]
    budget = (
        f"{plan.examples} examples, {plan.epochs} epochs, {len(plan.seeds)} seeds;"
        f" {plan.asked} held-out examples asked, greedily. Mean [lowest, highest]."
    )
    head = _row("variant", *heads)
    return "\n".join([budget, "", head, f"|---|{'---|' * len(heads)}", *rows])


def _one(config: RunConfig, places: Places, asked: int) -> None:
    """Train and check one run, unless that is done.

    Raises:
        ConfigError: what is done was done with another configuration.
    """
    out = places.out / config.ref
    report = _report(places.out, config.ref, asked)
    if not (out / record.RUN_RECORD).is_file():
        run(config, msgspec.structs.replace(places, out=out))
    elif record.read_run(out).config != config:
        raise ConfigError(
            f"{out} is a run of another plan: give another --out, or delete it"
        )
    if not report.is_file() and places.data is not None:
        seen = quickcheck.look(
            base_dir=places.base,
            adapter_dir=out,
            limit=asked,
            held_out=places.data / "test.jsonl",
        )
        quickcheck.write(report, seen)


def _report(out: Path, ref: str, asked: int) -> Path:
    """Its name says how many were asked: another number is another report."""
    return out / f"{ref}-{asked}.json"


def _seen(name: str, plan: Plan, out: Path) -> Seen:
    refs = [f"ablation-{name}-s{seed}@v1" for seed in plan.seeds]
    reports = [quickcheck.read(_report(out, ref, plan.asked)) for ref in refs]
    runs = [record.read_run(out / ref) for ref in refs]
    return Seen(
        name,
        {key: [each.shares[key].value for each in reports] for key in MEASURES},
        [each.tokens_per_output for each in reports],
        [float(each.tokens or 0) / each.seconds for each in runs],
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _share(values: Sequence[float]) -> str:
    low, mean, high = (100 * f(values) for f in (min, statistics.mean, max))
    return f"{mean:.1f} % [{low:.1f}, {high:.1f}]"


def _range(values: Sequence[float], digits: int) -> str:
    mean = statistics.mean(values)
    return f"{mean:.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"
