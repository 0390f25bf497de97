"""Score what production answered, as it was kept, and raise metrics of it.

Either once, or every so many seconds. With --listen the metrics are served at /metrics;
with --textfile they are written for node_exporter's textfile collector. What the alerts
say of them is in `python -m dashboards`.
"""

import argparse
import datetime as dt
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from evals import drift, exposition
from evals.errors import SetupError
from evals.exposition import Board
from evals.options import positive
from evals.watch import WINDOW, Look, Plan, Seen, Watch

WHERE: Final = Path("var/kept")
LOOPBACK: Final = "127.0.0.1"
LONGEST: Final = 3600.0
"""Seconds between two looks; after two hours without one the alert says so."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it can be told."""
    add = parser.add_argument
    add("where", nargs="*", type=Path, default=[WHERE], metavar="PATH",
        help=f"directories or files of kept lines [{WHERE}]")  # fmt: skip
    add("--kept", choices=("all", "flawed"), required=True,
        help="what the tenants' `keep` is: the flawed alone give no rates")  # fmt: skip
    often = parser.add_mutually_exclusive_group(required=True)
    often.add_argument("--once", action="store_true", help="look once, and say it")
    often.add_argument("--every", type=_period, metavar="SECONDS",
        help=f"look again and again, at least each {LONGEST:.0f} s")  # fmt: skip
    add("--listen", type=_address, metavar="HOST:PORT",
        help="serve /metrics here, as 127.0.0.1:9109; with --every")  # fmt: skip
    add("--textfile", type=Path, metavar="FILE", help="write the metrics here, *.prom")
    add("--tenants", nargs="+", default=[], metavar="NAME", help="only theirs")
    add("--locale", default="en",
        help="the texts' language; style is judged of en alone [%(default)s]")  # fmt: skip
    add("--window", type=positive, default=WINDOW, metavar="N",
        help="outputs of a window [%(default)s]")  # fmt: skip
    add("--permutations", type=positive, default=drift.PERMUTATIONS, metavar="N",
        help="of the drift tests, at most [%(default)s]")  # fmt: skip


def run(options: argparse.Namespace, console: Console) -> int:
    """Look once, or until a SIGTERM; 0.

    Raises:
        SetupError: what is kept cannot be read, or the metrics cannot be given out.
    """
    if options.listen and options.once:
        raise SetupError("--listen goes with --every: --once ends at once")
    plan = Plan(
        where=tuple(options.where),
        kept=options.kept,
        tenants=frozenset(options.tenants),
        locale=options.locale,
        window=options.window,
        permutations=options.permutations,
    )
    watch, board = Watch(plan), Board()
    if options.once:
        sys.stdout.write(f"{said(_look(watch, board, options.textfile))}\n")
        return 0
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, _setting(ended))
    try:
        # The first look raises: a place that cannot be read is a mistake in the command.
        console.print(said(_look(watch, board, options.textfile)), markup=False)
        if options.listen is None:
            _repeat(watch, board, options, ended, console)
        else:
            host, port = options.listen
            with exposition.serving(board, host, port) as port:
                console.print(f"metrics: http://{host}:{port}/metrics", markup=False)
                _repeat(watch, board, options, ended, console)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def said(look: Look) -> str:
    """What a look has seen, for people."""
    lines = [line for seen in look.groups for line in _group(seen)]
    if not look.groups:
        lines.append("nothing is kept yet; a tenant opts in with `keep`")
    if look.kept == "flawed":
        lines.append(
            "only flawed outputs are kept: no share of them is one of the traffic, so"
            " none is given; drift is of the flawed ones"
        )
    if look.torn:
        lines.append(f"{look.torn} lines cannot be read")
    return "\n".join(lines)


def _group(seen: Seen) -> Iterable[str]:
    group = seen.group
    yield (
        f"{group.surface} {group.generator} {group.model} {group.mode}: {seen.newest}"
        f" of {seen.total} outputs"
    )
    for name, share in seen.shares.items():
        bounds = f"[{share.low:.1%}, {share.high:.1%}]"
        yield f"  {name:<13}{share.share:>7.1%} {bounds}, n = {share.n}"
    if seen.drifts is None:
        yield "  drift: too few outputs for two windows"
        return
    found = seen.drifts.found(drift.LEVEL)
    for each in found:
        says = f", {each.says}" if each.says else ""
        yield f"  drift in {each.feature}: p = {each.adjusted:.3g}{says}"
    if not found:
        yield "  no drift is seen"


def _repeat(
    watch: Watch,
    board: Board,
    options: argparse.Namespace,
    ended: threading.Event,
    console: Console,
) -> None:
    while not ended.wait(options.every):
        try:
            _look(watch, board, options.textfile)
        except SetupError as error:
            # The old metrics stay, and their time does: the alert sees that they age.
            console.print(f"watch: {error}", markup=False, highlight=False)


def _look(watch: Watch, board: Board, textfile: Path | None) -> Look:
    look = watch.look(_now())
    content = exposition.text(look)
    board.content = content.encode()
    if textfile is not None:
        exposition.write(content, textfile)
    return look


def _setting(ended: threading.Event) -> "signal._HANDLER":  # pyright: ignore[reportPrivateUsage] -- the only name of this type
    def handle(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    return handle


def _period(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"above 0 and up to {LONGEST:.0f} is right")
    return value


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 -- the highest port
        raise argparse.ArgumentTypeError("HOST:PORT is right")
    return host.strip("[]") or LOOPBACK, int(port)


def _now() -> float:
    return dt.datetime.now(tz=dt.UTC).timestamp()  # noqa: TID251 -- the program's edge, where the wall clock comes in
