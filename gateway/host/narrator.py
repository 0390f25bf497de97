"""Progress for people, on standard error: lines, and a moving one on a terminal."""

import contextlib
import time
from collections.abc import Callable, Generator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.host.doctor import Row
from gateway.host.errors import HostError


class Narrator:
    """Says which step is being done, how long it takes, and how it ended.

    Args:
        console: where to write.
        steps: how many steps there will be.
    """

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._steps = steps
        self._done = 0

    @contextlib.contextmanager
    def step(self, title: str, expect: str = "") -> Generator[None]:
        """Announce a step, and its duration when it has ended well.

        Args:
            title: what is done.
            expect: about how long it takes, for people.
        """
        self._done += 1
        began = time.monotonic()
        hint = f"  ({expect})" if expect else ""
        self.say(f"[{self._done}/{self._steps}] {title}{hint}")
        yield
        took = time.monotonic() - began
        if took >= 1:
            self.say(f"      done in {took:.0f} s")

    def say(self, line: str) -> None:
        """Write one line as it is."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def note(self, line: str) -> None:
        """Write an indented line under the present step."""
        self.say(f"      {line}")

    @contextlib.contextmanager
    def waiting(self) -> "Generator[Waiting]":
        """Show a state that changes: moving on a terminal, else a line a change."""
        if not self._console.is_terminal:
            yield Waiting(self.note)
            return
        with self._console.status("") as moving:
            yield Waiting(lambda line: moving.update(escape(line)), every=1)


class Waiting:
    """Takes the present phase at each look; writes when there is news."""

    def __init__(self, write: Callable[[str], None], every: int = 15) -> None:
        self._write = write
        self._every = every
        self._began = time.monotonic()
        self._last = ("", -1)

    def __call__(self, phase: str) -> None:
        seconds = int(time.monotonic() - self._began)
        news = (phase, seconds // self._every)
        if news != self._last:
            self._last = news
            self._write(f"{seconds:3d} s: {phase}")


def findings(rows: tuple[Row, ...]) -> Table:
    """Draw the doctor's table."""
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for row in rows:
        mark = (
            "[green]ok[/]" if row.ok else "[red]no[/]" if row.fatal else "[yellow]?[/]"
        )
        table.add_row(mark, row.name, row.found, "" if row.ok else row.advice)
    return table


def complain(console: Console, error: HostError) -> None:
    """Show an error: what is wrong, what would be right, and the detail."""
    if error.detail:
        console.print(error.detail, markup=False, highlight=False, soft_wrap=True)
    for line in (f"wastegate: {error.message}", f"  → {error.advice}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
