"""The program `wastegate`: groups of commands are put together here, and only here."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from gateway.cli import register as register_clients
from gateway.cli.arguments import adder
from gateway.errors import SettingsError
from gateway.host.commands import register as register_host
from gateway.host.keys import read_env
from gateway.host.layout import ENV_FILE

_SERVE: Final = """\
Runs the gateway in the foreground: data plane and control plane.

example:
  wastegate serve --config wastegate.toml --config var/local.toml
"""


def parser() -> argparse.ArgumentParser:
    """Build the whole command line."""
    top = argparse.ArgumentParser(
        prog="wastegate",
        description="A gateway for vLLM multi-LoRA: routes, checks, rolls back.",
        epilog="Each command has --help with an example.",
    )
    add = adder(top)
    register_host(add)
    serve = add("serve", "run the gateway in the foreground", _SERVE)
    serve.add_argument(
        "--config",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="configuration; may be repeated, later ones win",
    )
    serve.set_defaults(run=_serve)
    register_clients(add)
    return top


def _serve(arguments: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    # Here and below: the other commands start faster.
    from gateway.configuration import load  # noqa: PLC0415 - as said

    try:
        settings = load(arguments.config, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"wastegate: {error}\n")
        return 2
    from gateway.app import serve  # noqa: PLC0415 - as said

    gateway = settings.gateway
    if gateway.workers == 1:
        return serve(settings)
    from gateway.host.prefork import run  # noqa: PLC0415 - as said

    return run(
        (gateway.listen, gateway.admin_listen),
        gateway.workers,
        partial(serve, settings),
        grace=gateway.drain_seconds,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments, the process's own by default.

    Returns:
        The exit code: 0 done, 1 failed, 2 bad usage (argparse raises SystemExit).
    """
    arguments = parser().parse_args(argv)
    environ = {**read_env(Path(ENV_FILE)), **os.environ}
    try:
        return arguments.run(arguments, environ)
    except KeyboardInterrupt:
        sys.stderr.write("wastegate: interrupted\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
