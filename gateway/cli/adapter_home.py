"""`wastegate adapter push` and `pull`: between this machine's registry and a home."""

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Final

from adapters.errors import (
    AdapterError,
    HomeError,
    PreflightError,
    RefConflict,
    RefError,
    UnknownRef,
)
from adapters.homes import Home, open_home
from adapters.refs import AdapterRef
from adapters.registry import Registered, Registry
from gateway.cli.arguments import Add
from gateway.cli.errors import CliError, UsageError
from gateway.cli.run import local
from gateway.cli.screen import Screen, table

Check = Callable[[Path, Path, Path | None], object]
"""Refuses an adapter (first) that no base among these (second) can serve, or that
the holder of a key (third), where one is given, has not signed."""

_HOMES: Final = """\
A home is s3://BUCKET/PREFIX (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_REGION say where and whose it is), a directory, or, to
pull from, hf://OWNER/REPO[@REVISION] (HF_TOKEN).
"""
_PUSH: Final = f"""\
Copies a registered adapter to a home, from which other machines can pull it. A ref
stays bound to its bytes there, too. Pushing again mends what was damaged there.

{_HOMES}
example:
  wastegate adapter push acme-behav-lora@v1 s3://models/adapters
"""
_PULL: Final = f"""\
Copies an adapter from a home, compares all its bytes with those that were pushed,
checks it as `adapter add` does, and registers it on this machine.

{_HOMES}
example:
  wastegate adapter pull acme-behav-lora@v1 s3://models/adapters
"""


def register(within: Add, check: Check) -> None:
    """Add both commands to the group; what is pulled has to pass `check`."""
    push = within("push", "copy an adapter to a home", _PUSH)
    pull = within("pull", "register an adapter from a home", _PULL)
    for command in (push, pull):
        command.add_argument("ref", metavar="REF")
        command.add_argument("home", metavar="HOME")
        command.add_argument(
            "--registry",
            type=Path,
            default=Path("var/adapters"),
            metavar="PATH",
            help="as in wastegate.toml (%(default)s)",
        )
    pull.add_argument(
        "--models",
        type=Path,
        default=Path("var/models"),
        metavar="PATH",
        help="where base models are, each under its ref (%(default)s)",
    )
    pull.add_argument(
        "--key",
        type=Path,
        metavar="PEM",
        help="public key that has to have signed it (registry.public_key)",
    )
    push.set_defaults(run=local(push_adapter))
    pull.set_defaults(run=local(partial(pull_adapter, check=check)))


def push_adapter(arguments: argparse.Namespace, screen: Screen) -> None:
    """Copy an adapter to a home, after all its bytes have been looked at here.

    Raises:
        CliError: it is not registered, or the home does not take it.
    """
    with _told(arguments.ref, arguments.home):
        found = Registry(arguments.registry).verify(AdapterRef(arguments.ref))
        open_home(arguments.home).publish(found)
    _show(found, ("home", arguments.home), screen)


def pull_adapter(arguments: argparse.Namespace, screen: Screen, check: Check) -> None:
    """Register an adapter from a home.

    Raises:
        CliError: the home does not have it, or it is refused; then nothing is
            registered.
    """
    with _told(arguments.ref, arguments.home):
        ref = AdapterRef(arguments.ref)
        home = open_home(arguments.home)
        with tempfile.TemporaryDirectory(prefix="wastegate-pull-") as directory:
            fetched = Path(directory)
            _fetch(home, ref, fetched, arguments.home)
            found = Registry(arguments.registry).add(
                fetched, lambda stage: check(stage, arguments.models, arguments.key)
            )
    _show(found, ("path", str(found.path)), screen)


def _fetch(home: Home, ref: AdapterRef, into: Path, name: str) -> None:
    try:
        home.fetch(ref, into)
    except UnknownRef as error:
        raise CliError(f"{name}: {error}", "take one of those, or another home") from (
            error
        )


def _show(found: Registered, where: tuple[str, str], screen: Screen) -> None:
    told = {"ref": str(found.ref), "digest": found.digest, where[0]: where[1]}
    screen.show(told, table(tuple(told), [tuple(told.values())]))


@contextlib.contextmanager
def _told(ref: str, home: str) -> Generator[None]:
    """Tell errors of adapters as what a person can do about them."""
    try:
        yield
    except RefError as error:
        raise UsageError(str(error), "take one of: wastegate adapter list") from error
    except HomeError as error:
        raise CliError(f"{error.home}: {error.message}", error.advice) from error
    except (AdapterError, OSError) as error:
        raise CliError(str(error), _advice(error, ref, home)) from error


def _advice(error: Exception, ref: str, home: str) -> str:
    if isinstance(error, UnknownRef):
        return "take one of those, or another --registry"
    if isinstance(error, RefConflict):
        return f"what this machine and {home} call {ref} differs: compare their cards"
    if isinstance(error, PreflightError):
        return "pull one that fits the base which is served here"
    if isinstance(error, FileNotFoundError):
        return "the base that it was trained on has to be here: make up, or --models"
    if isinstance(error, OSError):
        return "nothing was registered: free or mend what is named, and do it again"
    return f"nothing was changed: mend {ref} where it came from"
