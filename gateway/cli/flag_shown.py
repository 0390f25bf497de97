"""The flag as the command line reads and shows it."""

import argparse
from typing import Any, Final

import msgspec
from rich.table import Table

from gateway.cli.client import Admin
from gateway.cli.errors import CliError
from gateway.cli.screen import Screen, percent, table
from routing.errors import FlagError
from routing.flags import FLAG, FlagDocument
from routing.rules import RolloutRule, SurfaceRule

PATH: Final = f"flags/{FLAG}"


class Flag(msgspec.Struct, frozen=True):
    """The flag as it was read: its document and its version."""

    document: FlagDocument
    etag: str
    raw: dict[str, Any]


def fetch(admin: Admin) -> Flag:
    """Read the flag.

    Raises:
        CliError: it cannot be read.
    """
    answer = admin.get(PATH)
    return of(answer.read(dict[str, Any]), answer.etag)


def of(raw: dict[str, Any], etag: str) -> Flag:
    """Take what the control plane said.

    Raises:
        CliError: it is no flag.
    """
    fields = {name: raw[name] for name in raw if name not in {"key", "version"}}
    try:
        document = msgspec.convert(fields, FlagDocument)
    except (msgspec.ValidationError, FlagError) as error:
        raise CliError(
            f"the flag cannot be read: {error}",
            "is the gateway of the same version as this command?",
        ) from error
    return Flag(document, etag or f'"{raw.get("version", 0)}"', raw)


def show(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Print the flag."""
    flag = fetch(admin)
    screen.show(flag.raw, *drawn(flag))


def drawn(flag: Flag) -> tuple[Table | str, ...]:
    """Draw it for people."""
    document = flag.document
    rest = 10_000 - document.lora - document.lora_pref
    rows = [
        ("default", document.default, f"{percent(rest)} of the units"),
        ("canary", "lora", percent(document.lora)),
        ("canary", "lora_pref", percent(document.lora_pref)),
        *(("tenant", name, to) for name, to in sorted(document.overrides.items())),
        *(
            ("surface", name, _rule(rule))
            for name, rule in sorted(document.surfaces.items())
        ),
        *(("rollout", rule.id, _rollout(rule)) for rule in document.rollouts),
        *(("kill", kill.scope, kill.name) for kill in document.kills),
    ]
    head = f"{FLAG}, version {flag.raw.get('version')}, salt {document.salt}"
    return head, table(("what", "name", "value"), rows)


def _rule(rule: SurfaceRule) -> str:
    if rule.variant is not None:
        return rule.variant
    weights = {"lora": rule.lora, "lora_pref": rule.lora_pref}
    return ", ".join(
        f"{name} {percent(value)}"
        for name, value in weights.items()
        if value is not None
    )


def _rollout(rule: RolloutRule) -> str:
    candidate, control = (
        target.model or target.generator for target in (rule.candidate, rule.control)
    )
    scope = ", ".join([*sorted(rule.tenants), *sorted(rule.surfaces)]) or "everybody"
    return f"{percent(rule.weight)} {candidate}, the rest {control}: {scope}"
