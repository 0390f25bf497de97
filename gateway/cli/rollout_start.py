"""`wastegate rollout start`: from arguments to a plan."""

import argparse
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from gateway.cli.client import Admin
from gateway.cli.errors import CliError, UsageError
from gateway.cli.rollout_shown import Shown, picture
from gateway.cli.run import remote
from gateway.cli.screen import Screen
from routing.errors import RolloutError
from routing.gates import GATES, Measure
from routing.rollout import Plan

_MEASURES: Final = get_args(Measure)

SHADOW: Final = "shadow:1:1.5"
"""The gate of `--shadow`: at worst as often only the control does well as only the
candidate, and for good less than one and a half times as often."""

TEXT: Final = """\
Moves tenants and surfaces from one target to another, step by step, by evidence: harm
rolls it back, proof of good promotes it, and without either it holds. What is left out
or loosened is named in its record. The candidate needs a verdict "pass" of the evals
(wastegate adapter verdict), or a reason to do without in --override, which is logged.

examples:
  wastegate rollout start lora=acme-behav-lora@v1 --tenant acme --steps 5,25,50
  wastegate rollout start lora=acme@v2 --from lora=acme@v1 --without tokens
  wastegate rollout start lora=acme@v1 --gate ttft:8:10 --units 200 --minutes 5
  wastegate rollout start lora=acme@v1 --shadow 10       mirror before anybody gets it
  wastegate rollout start --plan plan.json --why "release 17"
"""


def arguments(command: argparse.ArgumentParser) -> None:
    """Add what a start can be told."""
    add = command.add_argument
    add("candidate", nargs="?", metavar="GENERATOR=REF")
    add("--from", dest="control", default="base", metavar="GENERATOR=REF")
    add("--tenant", action="append", default=[], metavar="T", help="repeatable")
    add("--surface", action="append", default=[], metavar="S", help="repeatable")
    add("--steps", metavar="P,P,…", help="percentages; default 5,25,50")
    add("--units", type=int, metavar="N", help="of the candidate, at least, a step")
    add("--minutes", type=float, metavar="M", help="at least, a step")
    add(
        "--gate",
        action="append",
        default=[],
        metavar="MEASURE:HARM:GOOD",
        help=f"other bounds for one of {', '.join(_MEASURES)}",
    )
    add("--shadow", type=float, metavar="P", help="per cent of requests to mirror")
    add("--without", action="append", default=[], choices=_MEASURES)
    add("--by-hand", action="store_true", help="a person promotes it")
    add(
        "--promoter",
        action="append",
        default=[],
        metavar="NAME",
        help="by hand, and by nobody else; repeatable",
    )
    add("--plan", metavar="FILE", help="the whole plan as JSON instead")
    add(
        "--override", default="", metavar="REASON", help="although something is missing"
    )
    add("--why", default="", metavar="TEXT", help="for the audit log")
    command.set_defaults(run=remote(start))


def start(given: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Start one, and show it."""
    body = {
        "plan": planned(given),
        "override": given.override,
        "why": given.why,
    }
    made = admin.post("rollouts", body).read(Shown)
    screen.show(made, *picture(made))


def planned(given: argparse.Namespace) -> dict[str, Any]:
    """The plan that the arguments ask for.

    Raises:
        UsageError: they ask for none, or for one that cannot be.
    """
    if given.plan is not None:
        if given.candidate is not None:
            raise UsageError("the plan names the candidate", "give one of the two")
        return _file(given.plan)
    if given.candidate is None:
        raise UsageError("what is rolled out?", "lora=REF, or --plan FILE")
    plan: dict[str, Any] = {
        "candidate": _target(given.candidate),
        "control": _target(given.control),
        "tenants": sorted(set(given.tenant)),
        "surfaces": sorted(set(given.surface)),
        "gates": _gates(_bounds(given), given.without),
        "shadow": round((given.shadow or 0) * 100),
        "promote": "operator" if given.by_hand or given.promoter else "auto",
        "promoters": sorted(set(given.promoter)),
    }
    if given.steps is not None or given.units is not None or given.minutes is not None:
        plan["steps"] = _steps(given.steps or "5,25,50", given.units, given.minutes)
    try:
        msgspec.convert(plan, Plan)
    except (msgspec.ValidationError, RolloutError) as error:
        raise UsageError(str(error), "see: wastegate rollout start --help") from error
    return plan


def _file(name: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(Path(name).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise CliError(
            f"{name} is no plan: {error}", "GET /docs on the control plane has its form"
        ) from error


def _target(text: str) -> dict[str, str]:
    generator, _, model = text.partition("=")
    found = {"generator": generator}
    return found | {"model": model} if model else found


def _steps(text: str, units: int | None, minutes: float | None) -> list[dict[str, Any]]:
    more: dict[str, Any] = {} if units is None else {"units": units}
    if minutes is not None:
        more["seconds"] = minutes * 60
    try:
        weights = [round(float(each.strip(" %")) * 100) for each in text.split(",")]
    except ValueError:
        raise UsageError(f"{text!r} are no steps", "--steps 5,25,50") from None
    return [{"weight": weight} | more for weight in weights]


def _bounds(given: argparse.Namespace) -> list[str]:
    """The gates' bounds that were given; a shadow brings its own gate."""
    bounds: list[str] = given.gate
    told = any(each.startswith("shadow:") for each in bounds)
    return [SHADOW, *bounds] if given.shadow and not told else bounds


def _gates(bounds: list[str], without: list[str]) -> list[dict[str, Any]]:
    gates: dict[str, dict[str, Any]] = {
        gate.measure: msgspec.to_builtins(gate)
        for gate in GATES
        if gate.measure not in without
    }
    for text in bounds:
        measure, *numbers = text.split(":")
        try:
            harm, good = map(float, numbers)
        except ValueError:
            raise UsageError(f"{text!r} is no gate", "--gate ttft:8:10") from None
        if measure not in _MEASURES or measure in without:
            raise UsageError(f"there is no gate {measure!r} here", ", ".join(_MEASURES))
        known = gates.setdefault(measure, {"measure": measure})
        known |= {"harm": harm, "good": good}
    return list(gates.values())
