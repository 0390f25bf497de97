"""The commands that look at adapters, or make pairs of what they say."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add them to the command line's; heavy libraries are imported by those run."""
    _pair_commands(commands)

    made = commands.add_parser("check", help="ask held-out examples, judge strictly")
    made.add_argument("--base", type=Path, required=True)
    made.add_argument("--adapter", type=Path, help="without it: the base alone")
    made.add_argument("--limit", type=int, default=40, help="examples (default 40)")
    made.add_argument("--skip", type=int, default=0, help="leave out the first ones")
    made.add_argument("--examples", type=Path, help="ask these, JSON lines, spread")
    made.add_argument("--out", type=Path, help="write the answers as JSON")
    made.set_defaults(run=_check)

    made = commands.add_parser("ablate", help="what each part of a run is worth")
    made.add_argument("plan", type=Path, help="TOML file")
    made.add_argument("--base", type=Path, required=True)
    made.add_argument("--data", type=Path, required=True)
    made.add_argument("--out", type=Path, required=True, help="directory of its runs")
    made.set_defaults(run=_ablate)

    made = commands.add_parser("throughput", help="steps a second, beside plain TRL's")
    made.add_argument("config", type=Path, help="of a supervised run with a LoRA")
    made.add_argument("--base", type=Path, required=True)
    made.add_argument("--data", type=Path, required=True)
    made.add_argument("--count", type=int, default=80, help="examples (default 80)")
    made.add_argument("--rounds", type=int, default=3, help="of each (default 3)")
    made.set_defaults(run=_throughput)


def _pair_commands(commands: Any) -> None:
    made = commands.add_parser("own", help="pairs of an adapter's own answers, ranked")
    made.add_argument("--base", type=Path, required=True)
    made.add_argument("--adapter", type=Path, required=True)
    made.add_argument("--examples", type=Path, required=True, help="JSON lines to ask")
    made.add_argument(
        "--count", type=int, default=300, help="ask so many (default 300)"
    )
    made.add_argument("--samples", type=int, default=4, help="answers each (default 4)")
    made.add_argument("--out", type=Path, required=True, help="file of pairs to write")
    made.set_defaults(run=_own)

    made = commands.add_parser("pairs", help="join files of pairs, name their digest")
    made.add_argument("files", type=Path, nargs="+", help="JSON lines of pairs")
    made.add_argument(
        "--config", type=Path, required=True, help='TOML with pairs.digest = "DIGEST"'
    )
    made.add_argument("--limit", type=int, help="at most so many of each file [all]")
    made.add_argument("--out", type=Path, required=True, help="directory to make")
    made.set_defaults(run=_pairs)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line's answer


def _check(options: argparse.Namespace) -> None:
    from training import quickcheck  # noqa: PLC0415 - only what the command needs

    report = quickcheck.look(
        base_dir=options.base,
        adapter_dir=options.adapter,
        limit=options.limit,
        skip=options.skip,
        held_out=options.examples,
    )
    if options.out is not None:
        quickcheck.write(options.out, report)
    for name, share in report.shares.items():
        _say(
            f"{name:20} {share.value:7.2%}  n={share.n}  [{share.lower:.1%}, {share.upper:.1%}]"
        )
    _say(f"tokens_per_output    {report.tokens_per_output:7.2f}")


def _own(options: argparse.Namespace) -> None:
    from training import examples, preference, rank  # noqa: PLC0415 - only what the command needs

    asked = examples.spread(examples.load(options.examples), options.count)
    draw = rank.Draw(samples=options.samples)
    made = rank.own_pairs(options.base, options.adapter, asked, draw)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(preference.dumps(made))
    _say(f"{options.out}: {len(made)} pairs of {len(asked)} examples")


def _ablate(options: argparse.Namespace) -> None:
    from training import ablate  # noqa: PLC0415 - only what the command needs

    plan = ablate.load(options.plan)
    seen = ablate.ablate(plan, options.base, options.data, options.out)
    _say(ablate.table(seen, plan))


def _throughput(options: argparse.Namespace) -> None:
    from training import config, throughput  # noqa: PLC0415 - only what the command needs

    seen = throughput.compare(
        config.load(options.config, method="sft"),
        options.base,
        options.data,
        count=options.count,
        rounds=options.rounds,
    )
    _say(throughput.table(seen))


def _pairs(options: argparse.Namespace) -> None:
    from training import joined  # noqa: PLC0415 - only what the command needs

    made = joined.join(
        options.files, options.out, template=options.config, limit=options.limit
    )
    _say(f"{options.out}: {len(made.pairs)} pairs, digest {made.digest}")
