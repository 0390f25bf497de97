"""The flag document as flagd's JSON: what flagd itself decides is what we decide.

`targeting` is a chain of conditions in the order of precedence. It is made out of the
document and carries it along in the flag's metadata, so that an export can be imported
again: whoever edits the rules by hand edits something that is made, and is told so.

What flagd cannot say is left out there: which adapter a rollout means.
"""

from typing import Any, Final, cast

import msgspec

from routing.bucketing import BUCKETS
from routing.errors import FlagError
from routing.flags import FLAG, FlagDocument, decode, encode, rule_weights
from routing.rules import GENERATORS, Generator, RolloutRule, SurfaceRule

SCHEMA: Final = "https://flagd.dev/schema/v0/flags.json"

Json = dict[str, Any]

_TENANT: Final = {"var": "tenant"}
_SURFACE: Final = {"var": "surface"}
_UNIT: Final = {"var": "targetingKey"}


def exported(document: FlagDocument, version: int) -> Json:
    """Return a file for flagd.

    The context has `tenant`, `surface`, and the unit as its targeting key; without
    one there is no draw.
    """
    flag = {
        "state": "ENABLED",
        "variants": {name: name for name in GENERATORS},
        "defaultVariant": "base",
        "targeting": _Targeting(document).chain(),
        "metadata": {
            "version": version,
            "hash": document.hash,
            "document": encode(document).decode(),
        },
    }
    return {"$schema": SCHEMA, "flags": {FLAG: flag}}


def imported(data: bytes) -> FlagDocument:
    """Return the document of an export.

    Raises:
        FlagError: it is none, or its rules are not those of its document.
    """
    try:
        whole: object = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise FlagError("", f"the file is not JSON in UTF-8: {error}") from error
    path = f"flags.{FLAG}"
    flag = _member(_member(whole, "flags"), FLAG)
    carried = _member(_member(flag, "metadata"), "document")
    if not isinstance(carried, str):
        raise FlagError(
            f"{path}.metadata.document",
            "is missing: an export of Wastegate has the flag document there;"
            " write one by `wastegate flag get --flagd`, or apply a flag document",
        )
    document = decode(carried.encode())
    again = exported(document, 0)["flags"][FLAG]
    for name in ("state", "variants", "defaultVariant", "targeting"):
        if _member(flag, name) != again[name]:
            raise FlagError(
                f"{path}.{name}",
                "is not what its metadata's document says: it is made from that;"
                " change the document",
            )
    return document


def _member(value: object, name: str) -> object:
    if not isinstance(value, dict):
        return None
    return cast("dict[str, object]", value).get(name)


class _Targeting:
    """Makes the chain of conditions."""

    def __init__(self, document: FlagDocument) -> None:
        self._document = document
        self._dead = {k.name for k in document.kills if k.scope == "variant"}

    def chain(self) -> Json:
        document = self._document
        parts: list[object] = []
        for condition in self._killed():
            parts += [condition, "base"]
        for tenant, variant in sorted(document.overrides.items()):
            parts += [_is(_TENANT, [tenant]), self._given(variant)]
        for rollout in reversed(document.rollouts):
            parts += [_covers(rollout), self._rollout(rollout)]
        for name, rule in sorted(document.surfaces.items()):
            parts += [_is(_SURFACE, [name]), self._surface(rule)]
        rest = self._split(document.lora, document.lora_pref)
        return {"if": [*parts, rest]} if parts else {"if": [True, rest]}

    def _killed(self) -> list[object]:
        kills = self._document.kills
        found: list[object] = [True for kill in kills if kill.scope == "global"]
        for scope, who in (("tenant", _TENANT), ("surface", _SURFACE)):
            names = [kill.name for kill in kills if kill.scope == scope]
            if names:
                found.append(_is(who, names))
        return found

    def _given(self, variant: Generator) -> str:
        return "base" if variant in self._dead else variant

    def _surface(self, rule: SurfaceRule) -> object:
        if rule.variant is not None:
            return self._given(rule.variant)
        return self._split(*rule_weights(rule, self._document))

    def _split(self, lora: int, lora_pref: int) -> object:
        default = self._document.default
        if not lora and not lora_pref:
            return self._given(default)
        shares = [
            [self._given("lora"), lora],
            [self._given(default), BUCKETS - lora - lora_pref],
            [self._given("lora_pref"), lora_pref],
        ]
        return _drawn(self._document.salt, shares, without="base")

    def _rollout(self, rule: RolloutRule) -> object:
        candidate = self._given(rule.candidate.generator)
        control = self._given(rule.control.generator)
        if rule.weight == BUCKETS:
            return candidate
        shares = [[candidate, rule.weight], [control, BUCKETS - rule.weight]]
        return _drawn(rule.id, shares, without=control)


def _is(who: Json, names: list[str]) -> Json:
    return {"in": [who, names]}


def _covers(rule: RolloutRule) -> object:
    scope: list[object] = [
        _is(who, sorted(names))
        for who, names in ((_TENANT, rule.tenants), (_SURFACE, rule.surfaces))
        if names
    ]
    return {"and": scope} if scope else True


def _drawn(salt: str, shares: list[list[Any]], *, without: str) -> Json:
    """A draw with our key; what has no unit gets `without`."""
    key = {"cat": [f"{FLAG}/{salt}/", _TENANT, "/", _UNIT]}
    some = [share for share in shares if share[1]]
    return {"if": [_UNIT, {"fractional": [key, *some]}, without]}
