"""What commands print: tables for people, one JSON document for programs."""

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text


class Screen:
    """Where a command's result goes.

    Args:
        console: usually standard output.
        as_json: whether a program reads it.
    """

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json

    def show(self, document: object, *parts: Table | str) -> None:
        """Print the document for programs, or the parts for people."""
        if self._as_json:
            text = msgspec.json.encode(document).decode()
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
            return
        for part in parts:
            if isinstance(part, Table):
                self._console.print(part)
            else:
                self._console.print(part, markup=False, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Draw rows under their columns; cells are text, never markup.

    The last column wraps, the others keep their words whole: a ref that was cut off
    cannot be pasted into the next command.
    """
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns[:-1]:
        drawn.add_column(column, no_wrap=True, overflow="fold")
    drawn.add_column(columns[-1], overflow="fold")
    for row in rows:
        drawn.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return drawn


def percent(basis_points: int) -> str:
    """Write basis points as people read them: 250 is "2.5 %"."""
    return f"{basis_points / 100:g} %"
