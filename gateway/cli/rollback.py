"""`wastegate rollback`: an adapter out of everything, by one command for whoever is on call.

What takes the boost away comes first and needs neither store nor replica; a step that
fails keeps no later one from being tried, and is told as left to do.
"""

import argparse
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from gateway.cli.adapter import Unmounted
from gateway.cli.arguments import Add
from gateway.cli.client import Admin, segment
from gateway.cli.errors import CliError
from gateway.cli.kill import Kills
from gateway.cli.rollout import Listed
from gateway.cli.rollout_shown import Shown, named
from gateway.cli.run import remote
from gateway.cli.screen import Screen, table

_TEXT: Final = """\
Takes an adapter out of everything. Rollouts that bring it are rolled back to what was
before them, generators that are bound to it are killed (the base answers), and it is
unmounted: drained, unloaded, and looked for. Works while the store or a replica is down;
what could not be done is listed.

example:
  wastegate rollback acme-behav-lora@v1 --why "incident 7"
"""
_NOTHING: Final = frozenset({"rolled_back"})


class Done(msgspec.Struct, frozen=True):
    """One step, so many seconds after the command."""

    step: str
    seconds: float
    detail: str = ""


class Report(msgspec.Struct, frozen=True):
    """What was done, what is left, and the way forward again."""

    ref: str
    steps: tuple[Done, ...]
    left_to_do: tuple[str, ...]
    forward: tuple[str, ...]


class Step(NamedTuple):
    """Something to try: its name, and what does it and says how it went."""

    name: str
    act: Callable[[], str]


def register(add: Add) -> None:
    """Add the command."""
    command = add("rollback", "take an adapter out of everything", _TEXT)
    command.add_argument("ref", metavar="REF")
    command.add_argument("--why", default="", metavar="TEXT", help="for the audit log")
    command.add_argument(
        "--wait",
        type=float,
        default=90.0,
        metavar="SECONDS",
        help="how long to wait for the unload (%(default)s)",
    )
    command.set_defaults(run=remote(roll_back))


def roll_back(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Do every step, and tell.

    Raises:
        CliError: the gateway does not answer, or something is left to do.
    """
    ref, began = arguments.ref, time.monotonic()
    done: list[Done] = []
    left: list[str] = []
    rollouts = _rollouts(admin, ref)
    bound = _bound(admin, ref)
    for step in (
        *(_ended(admin, each, arguments.why) for each in rollouts),
        *(_killed(admin, generator, arguments.why) for generator in bound),
        _unmounted(admin, arguments, left),
    ):
        try:
            detail = step.act()
        except CliError as error:
            left.append(f"{step.name}: {error.message}")
            continue
        done.append(Done(step.name, round(time.monotonic() - began, 3), detail))
    forward = (
        *(f"wastegate kill remove variant {generator}" for generator in bound),
        f"wastegate adapter mount {ref}",
    )
    report = Report(ref, tuple(done), tuple(left), forward)
    rows = [(each.step, f"{each.seconds:.3f} s", each.detail) for each in done]
    way = f"to go forward again: {'; '.join(forward)}"
    screen.show(report, table(("step", "after", ""), rows), way)
    if left:
        raise CliError(
            f"left to do: {', '.join(left)}",
            "repeat this command; meanwhile see wastegate adapter list",
        )


def _rollouts(admin: Admin, ref: str) -> tuple[Shown, ...]:
    return tuple(
        each
        for each in admin.get("rollouts").read(Listed).rollouts
        if each.plan.candidate.model == ref and each.phase not in _NOTHING
    )


def _bound(admin: Admin, ref: str) -> tuple[str, ...]:
    found = admin.get("bindings").read(dict[str, str | int])
    return tuple(name for name, bound in found.items() if bound == ref)


def _ended(admin: Admin, rollout: Shown, why: str) -> Step:
    def act() -> str:
        path = f"rollouts/{segment(rollout.id)}/rollback"
        persisted = admin.post(path, {"why": why}).read(Shown).persisted
        return f"to {named(rollout.plan.control)}{_only_here(persisted=persisted)}"

    return Step(f"rollout {rollout.id} rolled back", act)


def _killed(admin: Admin, generator: str, why: str) -> Step:
    def act() -> str:
        body = {"scope": "variant", "name": generator, "why": why}
        found = admin.post("kill", body).read(Kills)
        late = "".join(f"; NOT acknowledged by {name}" for name in found.stragglers)
        return f"the base answers{_only_here(persisted=found.persisted)}{late}"

    return Step(f"variant {generator} killed", act)


def _unmounted(admin: Admin, arguments: argparse.Namespace, left: list[str]) -> Step:
    def act() -> str:
        found = admin.delete(
            f"adapters/{segment(arguments.ref)}",
            patience=arguments.wait,
            why=arguments.why,
            wait_seconds=str(arguments.wait),
        ).read(Unmounted)
        left.extend(found.left_to_do)
        return ", ".join(each.step for each in found.steps)

    return Step("adapter unmounted", act)


def _only_here(*, persisted: bool) -> str:
    return "" if persisted else "; the store is away and has not heard of it"
