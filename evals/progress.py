"""Progress on a terminal with the time that is left; in a log, a line each tenth."""

import contextlib
from collections.abc import Generator
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evals.suite import Watch

TENTHS: Final = 10


@contextlib.contextmanager
def shown(console: Console) -> Generator[Watch]:
    """A callback for `evals.suite.run`."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(generator: str, done: int, total: int) -> None:
            if generator not in tasks:
                tasks[generator] = progress.add_task(generator, total=total)
            progress.update(tasks[generator], completed=done)

        yield watch


def _lines(console: Console) -> Watch:
    def watch(generator: str, done: int, total: int) -> None:
        if done * TENTHS // total != (done - 1) * TENTHS // total:
            console.print(f"{generator}: {done} of {total}", highlight=False)

    return watch
