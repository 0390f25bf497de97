"""`python -m training`: the worker's command line.

Heavy libraries are imported by the command that needs them, so `--help` and `data`
work in an environment that has none of them.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn, get_args

from adapters.errors import AdapterError
from training import look_commands, queue_commands
from training.errors import TrainingError
from training.examples import Split

TERMINATED: Final = 128 + signal.SIGTERM
INTERRUPTED: Final = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed (the sentence is on stderr), 2 bad usage."""
    options = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
    except (TrainingError, AdapterError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)  # noqa: T201 - a command line's error
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an exception, so that half-written directories go away."""
    raise SystemExit(TERMINATED)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    made = commands.add_parser("base", help="prepare the base checkpoint")
    made.add_argument("--out", type=Path, required=True, help="directory to make")
    made.add_argument("--hub-id", help="take it from a Hugging Face hub instead")
    made.set_defaults(run=_base)

    _example_commands(commands)

    made = commands.add_parser("curate", help="raw examples to splits with a card")
    made.add_argument("raw", type=Path, nargs="+", help="JSON lines")
    made.add_argument("--config", type=Path, help="[training/curate/curation.toml]")
    made.add_argument("--out", type=Path, required=True, help="directory to make")
    made.add_argument(
        "--held-out", type=Path, nargs="*", default=[], help="tests elsewhere"
    )
    made.set_defaults(run=_curate)

    made = commands.add_parser("pii", help="what the scrubber finds of what is planted")
    made.set_defaults(run=_pii)

    _train_commands(commands)
    look_commands.add(commands)
    _publish_commands(commands)
    queue_commands.add(commands)
    return parser


def _train_commands(commands: Any) -> None:
    made = commands.add_parser("run", help="train, or go on with what was interrupted")
    made.add_argument("config", type=Path, help="TOML file")
    _run_options(made)
    made.add_argument(
        "--from", dest="start", type=Path, help="run or adapter to go on from"
    )
    made.add_argument("--reward", type=Path, help="run of a reward model, for rloo")
    made.set_defaults(run=_run, method=None)

    # The commands on the cards of the first adapters.
    for name, option, word in (
        ("sft", "--start", "supervision"),
        ("dpo", "--parent", "pairs"),
    ):
        made = commands.add_parser(name, help=f"train with {word}: as `run` does")
        made.add_argument("--config", type=Path, required=True, help="TOML file")
        _run_options(made)
        made.add_argument(option, dest="start", type=Path, help="what to go on from")
        made.set_defaults(run=_run, method=name, reward=None)


def _example_commands(commands: Any) -> None:
    made = commands.add_parser("data", help="generate examples as JSONL")
    made.add_argument("--split", choices=get_args(Split), required=True)
    made.add_argument("--out", type=Path, required=True, help="file to write")
    made.add_argument("--count", type=int, help="default: 800, 60, 400")
    made.add_argument("--seed", type=int, default=None)
    made.add_argument(
        "--words", choices=("deep", "wide"), default="deep", help="of train and val"
    )
    made.set_defaults(run=_data)

    made = commands.add_parser("raw", help="generate raw examples and pairs")
    made.add_argument("--out", type=Path, required=True, help="directory")
    made.add_argument("--count", type=int, help="default: 5200")
    made.add_argument("--seed", type=int)
    made.set_defaults(run=_raw)


def _publish_commands(commands: Any) -> None:
    made = commands.add_parser("round", help="copy a run with bfloat16 weights")
    made.add_argument("--run", dest="trained", type=Path, required=True)
    made.add_argument("--out", type=Path, required=True)
    made.set_defaults(run=_round)

    made = commands.add_parser("publish", help="seal a run as an adapter with its card")
    made.add_argument("--run", dest="trained", type=Path, required=True)
    made.add_argument("--check", dest="report", type=Path, required=True)
    made.add_argument("--base", type=Path, required=True)
    made.add_argument("--out", type=Path, required=True, help="models/NAME@vN")
    made.add_argument("--facts", type=Path, help="TOML as docs/examples/facts.toml")
    made.add_argument("--sign", type=Path, metavar="PEM", help="private EC key")
    made.set_defaults(run=_publish)


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", type=Path, required=True, help="prepared base")
    parser.add_argument("--out", type=Path, required=True, help="directory to make")
    parser.add_argument("--data", type=Path, help="curated set, or directory of pairs")
    parser.add_argument(
        "--fresh", action="store_true", help="throw away an interrupted run's work"
    )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line's answer


def _base(options: argparse.Namespace) -> None:
    from training import base  # noqa: PLC0415 - only what the command needs

    record = base.prepare(options.out, hub_id=options.hub_id)
    _say(f"{record.ref} at {record.path}: {record.source}, digest {record.digest}")


def _data(options: argparse.Namespace) -> None:
    from training import examples  # noqa: PLC0415 - only what the command needs
    from training.data.generate import DEFAULT_SEED, generate  # noqa: PLC0415 - as above

    seed = DEFAULT_SEED if options.seed is None else options.seed
    made = generate(options.split, count=options.count, seed=seed, words=options.words)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(examples.dumps(made))
    _say(f"{options.out}: {len(made)} examples, digest {examples.digest(made)}")


def _raw(options: argparse.Namespace) -> None:
    from training.assistant import generate, pairs  # noqa: PLC0415 - only what the command needs

    count = generate.DEFAULT_COUNT if options.count is None else options.count
    seed = generate.DEFAULT_SEED if options.seed is None else options.seed
    _say(pairs.write(options.out, count=count, seed=seed))


def _curate(options: argparse.Namespace) -> None:
    from training.curate import command, pipeline  # noqa: PLC0415 - only what the command needs

    curated = command.run(
        options.raw,
        config=options.config or pipeline.CONFIG,
        out=options.out,
        held_out=options.held_out,
        today=datetime.now(UTC).date(),  # noqa: TID251 - the edge: a command was given now
    )
    _say(
        f"{command.told(curated)}\n{options.out}: card.json, funnel.svg, dropped.jsonl"
    )


def _pii(_: argparse.Namespace) -> None:
    from training.curate import command  # noqa: PLC0415 - only what the command needs

    _say(command.recall())


def _run(options: argparse.Namespace) -> None:
    from training import checkpoints, config, processes, run  # noqa: PLC0415 - only what the command needs

    places = run.Places(
        options.base, options.out, options.data, options.start, options.reward
    )
    loaded = config.load(options.config, method=options.method)
    with checkpoints.alone(options.out) if processes.is_main() else nullcontext():
        done = run.run(loaded, places, fresh=options.fresh)
    processes.say(f"{options.out}: {done.steps} steps in {done.seconds:.0f} s")


def _round(options: argparse.Namespace) -> None:
    from training import publish  # noqa: PLC0415 - only what the command needs

    publish.to_bfloat16(options.trained, options.out)
    _say(f"{options.out}: half the size; compare its answers with `training check`")


def _publish(options: argparse.Namespace) -> None:
    from training import facts, publish  # noqa: PLC0415 - only what the command needs

    manifest = publish.publish(
        trained=options.trained,
        report=options.report,
        base_dir=options.base,
        out=options.out,
        now=datetime.now(UTC),  # noqa: TID251 - the edge: a command was given now
        facts=facts.load(options.facts, options.sign),
    )
    _say(f"{options.out}: {manifest.ref}, digest {manifest.digest}")


if __name__ == "__main__":
    sys.exit(main())
