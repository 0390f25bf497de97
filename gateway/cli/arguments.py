"""Commands and sub-commands, each with its help, its example and `--json`."""

import argparse
from collections.abc import Callable

Add = Callable[[str, str, str], argparse.ArgumentParser]
"""Adds a command: its name, a brief line for the list, and its whole help text."""


def adder(parser: argparse.ArgumentParser) -> Add:
    """Let a parser have sub-commands.

    Args:
        parser: whose sub-commands they will be.

    Returns:
        The function that adds one; each takes `--json`.
    """
    parser.set_defaults(json=False)
    groups = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, brief: str, text: str) -> argparse.ArgumentParser:
        command = groups.add_parser(
            name,
            help=brief,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Before or after a sub-command: a default of its own would undo the group's.
        command.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="for programs",
        )
        return command

    return add


def group(add: Add, name: str, brief: str) -> Add:
    """Add a command that only holds sub-commands."""
    return adder(add(name, brief, brief))
