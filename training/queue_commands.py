"""The commands around the queue: submit, work, jobs, again, cancel."""

import argparse
import os
import shutil
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "WASTEGATE_QUEUE"


def add(commands: Any) -> None:
    """Add them to the command line's; rq is imported by those that are run."""
    made = commands.add_parser("submit", help="queue what `run` would do, for a worker")
    made.add_argument("config", type=Path, help="TOML file; its text is what is sent")
    made.add_argument("--base", type=Path, required=True, help="prepared base")
    made.add_argument("--out", type=Path, required=True, help="directory to make")
    made.add_argument("--data", type=Path, help="curated set, or directory of pairs")
    made.add_argument("--from", dest="start", type=Path, help="run to go on from")
    made.add_argument("--reward", type=Path, help="run of a reward model, for rloo")
    made.description = (
        "Paths but CONFIG are the worker's; --out's name is the job's id."
    )
    _queue_option(made)
    made.set_defaults(run=_submit)

    made = commands.add_parser("work", help="do jobs from the queue, one at a time")
    made.add_argument("--burst", action="store_true", help="leave when it is empty")
    _queue_option(made)
    made.set_defaults(run=_work)

    made = commands.add_parser("jobs", help="the queue's jobs: state, since, step")
    _queue_option(made)
    made.set_defaults(run=_jobs)

    for name, run, word in (
        ("again", _again, "queue a job that is over; it goes on from its checkpoint"),
        ("cancel", _cancel, "take a job back, stop it, or forget it"),
    ):
        made = commands.add_parser(name, help=word)
        made.add_argument("id", help="as `jobs` says it")
        _queue_option(made)
        made.set_defaults(run=run)


def _queue_option(parser: argparse.ArgumentParser) -> None:
    url = os.environ.get(VARIABLE)
    parser.add_argument(
        "--queue",
        default=url,
        required=url is None,
        metavar="redis://…",
        help=f"its Redis [{VARIABLE}, which keeps a password out of `ps`]",
    )


def _submit(options: argparse.Namespace) -> None:
    from training import config, jobs  # noqa: PLC0415 - only what the command needs
    from training.run import Places  # noqa: PLC0415 - as above

    places = Places(
        options.base, options.out, options.data, options.start, options.reward
    )
    name = jobs.submit(options.queue, jobs.Job(config.read(options.config), places))
    _say(f"{name} is queued")


def _work(options: argparse.Namespace) -> None:
    from training import jobs  # noqa: PLC0415 - only what the command needs

    jobs.work(options.queue, burst=options.burst)


def _jobs(options: argparse.Namespace) -> None:
    from training import jobs, seen  # noqa: PLC0415 - only what the command needs

    _say(seen.table(jobs.jobs(options.queue), shutil.get_terminal_size().columns))


def _again(options: argparse.Namespace) -> None:
    from training import jobs  # noqa: PLC0415 - only what the command needs

    jobs.again(options.queue, options.id)
    _say(f"{options.id} is queued again")


def _cancel(options: argparse.Namespace) -> None:
    from training import jobs  # noqa: PLC0415 - only what the command needs

    _say(f"{options.id} {jobs.cancel(options.queue, options.id)}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line's answer
