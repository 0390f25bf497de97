"""From parsed arguments to an exit code: the one place where commands' errors end."""

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from rich.console import Console

from gateway.cli.client import Admin
from gateway.cli.errors import CliError, UsageError
from gateway.cli.screen import Screen

Command = Callable[[argparse.Namespace, Admin, Screen], None]
"""A command that talks to the control plane."""

LocalCommand = Callable[[argparse.Namespace, Screen], None]
"""A command that needs no gateway."""

Run = Callable[[argparse.Namespace, Mapping[str, str]], int]

DEFAULT_URL: Final = "http://127.0.0.1:8081"


def remote(command: Command) -> Run:
    """Run a command with a connection made from the environment."""

    def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
        def connected(arguments: argparse.Namespace, screen: Screen) -> None:
            with connect(environ) as admin:
                command(arguments, admin, screen)

        return local(connected)(arguments, environ)

    return run


def local(command: LocalCommand) -> Run:
    """Run a command; its errors go to standard error, with what to do next."""

    def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
        screen = Screen(Console(), as_json=arguments.json)
        try:
            command(arguments, screen)
        except CliError as error:
            aside = Console(stderr=True)
            for line in (f"wastegate: {error.message}", f"  → {error.advice}"):
                aside.print(line, markup=False, highlight=False, soft_wrap=True)
            return error.exit_code
        return 0

    return run


def connect(environ: Mapping[str, str]) -> Admin:
    """Make a connection from WASTEGATE_ADMIN_URL and WASTEGATE_ADMIN_KEY.

    Raises:
        UsageError: there is no key, or none that HTTP could carry.
    """
    key = environ.get("WASTEGATE_ADMIN_KEY", "")
    if not key or not key.isascii() or not key.isprintable():
        raise UsageError(
            "there is no administrator's key" if not key else "the key is not a key",
            "run this in the repository's root after make up,"
            " or set WASTEGATE_ADMIN_URL and WASTEGATE_ADMIN_KEY",
        )
    return Admin(environ.get("WASTEGATE_ADMIN_URL", DEFAULT_URL), key)
