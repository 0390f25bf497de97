"""`wastegate up`, `down` and `doctor`: arguments in, exit codes out."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from gateway.host import doctor, launch, trial
from gateway.host.config import load, without_slash
from gateway.host.errors import HostError
from gateway.host.layout import Layout
from gateway.host.narrator import Narrator, complain, findings
from gateway.host.up import STEPS, Order, Outcome, up

_UP: Final = """\
Brings up vLLM and the gateway in the background and waits until they answer.
Run it in the repository's root. It can be repeated: what is done is not done again.

example:
  wastegate up
  ENGINE_URL=http://127.0.0.1:9000 wastegate up   # with a vLLM that runs already
"""
_DOWN: Final = """\
Stops what `wastegate up` has started: the gateway first, which lets running answers
end, then the engine. Also ends what a crashed supervisor has left.

example:
  wastegate down
"""
_DOCTOR: Final = """\
Says what this machine lacks for a stack, and what to do about it.

example:
  wastegate doctor --json
"""


Add = Callable[[str, str, str], argparse.ArgumentParser]
"""Adds a command: its name, a brief line for the list, and its whole help text."""


def register(add: Add) -> None:
    """Add the three commands."""
    bring = add("up", "start everything and wait until ready", _UP)
    _config(bring)
    bring.add_argument(
        "--deadline",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long to wait until it is ready (%(default)s)",
    )
    bring.set_defaults(run=_up)
    add("down", "stop everything", _DOWN).set_defaults(run=_down)
    examine = add("doctor", "say what this machine lacks", _DOCTOR)
    _config(examine)
    examine.set_defaults(run=_doctor)


def _config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        type=Path,
        action="append",
        metavar="FILE",
        help="configuration; may be repeated, later ones win (wastegate.toml)",
    )


def _configs(arguments: argparse.Namespace) -> tuple[Path, ...]:
    given: list[Path] = arguments.config or [Path("wastegate.toml")]
    return tuple(path.absolute() for path in given)


def _engine_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get("ENGINE_URL", "").strip()
    return without_slash(url) if url else None


def _screens() -> tuple[Console, Console]:
    """Results go to standard output, everything else to standard error."""
    return Console(), Console(stderr=True)


def _up(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    screen, aside = _screens()
    narrator = Narrator(aside, STEPS)
    try:
        order = Order(_configs(arguments), _engine_url(environ), arguments.deadline)
        outcome = up(Layout(Path.cwd()), order, narrator)
    except HostError as error:
        complain(aside, error)
        return 1
    except KeyboardInterrupt:
        narrator.say("interrupted; `wastegate up` takes it up again where it was")
        return 1
    if arguments.json:
        _print_json(screen, _summary(outcome))
    else:
        _report(screen, outcome)
    return 0


def _summary(outcome: Outcome) -> dict[str, object]:
    return {
        "ready": True,
        "started": outcome.started,
        "stale": outcome.stale,
        "url": outcome.config.url,
        "admin_url": outcome.config.admin_url,
        "try": trial.lines(outcome.config),
    }


def _report(screen: Console, outcome: Outcome) -> None:
    lines = [f"ready: {outcome.config.url}, control plane {outcome.config.admin_url}"]
    if outcome.stale:
        lines.append(
            "note: the configuration has changed since it was started;"
            " to apply it: make down && make up"
        )
    lines += ["try:", *trial.lines(outcome.config), "stop it: make down"]
    for line in lines:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_json(screen: Console, document: object) -> None:
    text = msgspec.json.encode(document).decode()
    screen.print(text, markup=False, highlight=False, soft_wrap=True)


def _down(arguments: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    screen, aside = _screens()
    layout = Layout(Path.cwd())
    narrator = Narrator(aside, 0)
    seen = launch.find(layout)
    done = [] if seen is not None else launch.sweep(layout)
    if seen is not None:
        launch.stop(layout, seen, narrator.say)
        done = [f"stopped: {', '.join(child.name for child in seen.children)}"]
    if arguments.json:
        _print_json(screen, {"was_running": seen is not None, "done": done})
        return 0
    for line in done or ["nothing was running"]:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def _doctor(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    screen, aside = _screens()
    layout = Layout(Path.cwd())
    try:
        config = load(_configs(arguments))
        seen = launch.find(layout)
        circumstances = doctor.Circumstances(
            engine_here=_engine_url(environ) is None and config.engine_is_here,
            own=launch.members(seen) if seen is not None else frozenset(),
        )
        rows = doctor.examine(layout, config, circumstances)
    except HostError as error:
        complain(aside, error)
        return 1
    healthy = not any(row.fatal for row in rows)
    if arguments.json:
        _print_json(screen, {"ok": healthy, "checks": rows})
    else:
        screen.print(findings(rows))
    return 0 if healthy else 1
