"""The flag document: what `GENERATOR` means now, as one frozen value.

A document that exists is valid: the checks run on construction, on decoding and
on `msgspec.structs.replace` alike.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from routing.errors import FlagError
from routing.rules import (
    GENERATORS,
    SCOPES,
    Generator,
    Kill,
    RolloutRule,
    SurfaceRule,
    check_kill,
    check_part,
    check_rollout,
    check_weights,
)

FLAG: Final = "GENERATOR"
"""The flag's key, in the bucketing key as well as for OpenFeature."""


class FlagDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides which generator a request gets.

    `lora` and `lora_pref` are basis points (500 is 5 %) of the units; they grow
    from opposite ends of the buckets, and what lies between gets `default`.
    `salt` is the release's id: another salt is another draw of guinea pigs.
    `rollouts` are in the order of their start; the newest that covers a request counts.

    Raises:
        FlagError: a field that cannot be true, with its path.
    """

    default: Generator = "base"
    lora: int = 0
    lora_pref: int = 0
    salt: str = "r1"
    overrides: Mapping[str, Generator] = {}
    surfaces: Mapping[str, SurfaceRule] = {}
    kills: tuple[Kill, ...] = ()
    rollouts: tuple[RolloutRule, ...] = ()
    hash: Literal["flagd-v3"] = "flagd-v3"

    def __post_init__(self) -> None:
        """Refuse what cannot be true."""
        check_part("salt", "salt", self.salt)
        check_weights("", self.lora, self.lora_pref)
        for tenant in self.overrides:
            check_part(f"overrides.{tenant}", "tenant", tenant)
        for name, rule in self.surfaces.items():
            check_part(f"surfaces.{name}", "surface", name)
            _check_rule(f"surfaces.{name}", rule, self)
        for at, kill in enumerate(self.kills):
            check_kill(f"kills[{at}]", kill)
            if kill in self.kills[:at]:
                raise FlagError(f"kills[{at}]", "is listed already: once is enough")
        for at, rule in enumerate(self.rollouts):
            check_rollout(f"rollouts[{at}]", rule)
            if any(rule.id == earlier.id for earlier in self.rollouts[:at]):
                raise FlagError(
                    f"rollouts[{at}].id", "is another rollout's: use a new one"
                )


def decode(data: bytes) -> FlagDocument:
    """Read a document from its JSON.

    Raises:
        FlagError: not JSON, an unknown field, or a value that cannot be true.
    """
    try:
        return msgspec.json.decode(data, type=FlagDocument)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        raise FlagError(*_advise(data, path.strip("`$."), message)) from error
    except msgspec.DecodeError as error:
        message = f"the flag document is not JSON in UTF-8: {error}"
        raise FlagError("", message) from error


def encode(document: FlagDocument) -> bytes:
    """Write a document as JSON; equal documents give equal bytes."""
    return msgspec.json.encode(document, order="deterministic")


def with_kill(document: FlagDocument, kill: Kill) -> FlagDocument:
    """Return the document with this kill; itself if it has it already."""
    if kill in document.kills:
        return document
    return msgspec.structs.replace(document, kills=(*document.kills, kill))


def without_kill(document: FlagDocument, kill: Kill) -> FlagDocument:
    """Return the document without this kill; itself if it never had it."""
    if kill not in document.kills:
        return document
    kept = tuple(each for each in document.kills if each != kill)
    return msgspec.structs.replace(document, kills=kept)


def with_rollout(document: FlagDocument, rule: RolloutRule) -> FlagDocument:
    """Return the document with this rollout in place of the one of its id, or last.

    Raises:
        FlagError: the rule cannot be true.
    """
    held = [rule if each.id == rule.id else each for each in document.rollouts]
    if rule not in held:
        held.append(rule)
    return msgspec.structs.replace(document, rollouts=tuple(held))


def without_rollouts(document: FlagDocument, ids: Collection[str]) -> FlagDocument:
    """Return the document without these rollouts."""
    kept = tuple(each for each in document.rollouts if each.id not in ids)
    return msgspec.structs.replace(document, rollouts=kept)


def with_override(
    document: FlagDocument, tenant: str, variant: Generator | None
) -> FlagDocument:
    """Return the document with this tenant pinned, or free again for None.

    Raises:
        FlagError: the tenant's name cannot be one.
    """
    overrides = {k: v for k, v in document.overrides.items() if k != tenant}
    if variant is not None:
        overrides[tenant] = variant
    return msgspec.structs.replace(document, overrides=overrides)


def _check_rule(path: str, rule: SurfaceRule, document: FlagDocument) -> None:
    weights = (rule.lora, rule.lora_pref)
    if rule.variant is not None:
        if weights != (None, None):
            raise FlagError(path, "has a variant and weights: give one or the other")
        return
    if weights == (None, None):
        raise FlagError(
            path, "says nothing: give a variant or weights, or leave the surface out"
        )
    lora, lora_pref = rule_weights(rule, document)
    check_weights(path, lora, lora_pref)


def rule_weights(rule: SurfaceRule, document: FlagDocument) -> tuple[int, int]:
    """Return a surface's weights of lora and lora_pref, the document's where unset."""
    lora = document.lora if rule.lora is None else rule.lora
    lora_pref = document.lora_pref if rule.lora_pref is None else rule.lora_pref
    return lora, lora_pref


def _advise(data: bytes, path: str, message: str) -> tuple[str, str]:
    """Return a decoder's complaint with its exact place and what would be right."""
    for name, kind in (("overrides", Generator), ("surfaces", SurfaceRule)):
        if path.startswith(f"{name}[...]"):  # msgspec does not name a mapping's key
            culprit = next(_refused(data, name, kind), "...")
            path = path.replace("[...]", f".{culprit}", 1)
    if message.startswith("Invalid enum value"):
        last = path.rpartition(".")[2]
        allowed = {"scope": SCOPES, "hash": ("flagd-v3",)}.get(last, GENERATORS)
        message = f"{message}: use {', '.join(allowed)}"
    return path, message


def _refused(data: bytes, name: str, kind: Any) -> Iterator[str]:
    """Yield the keys of the mapping `name` whose values are no `kind`."""
    values: dict[str, Any] = msgspec.json.decode(data)[name]
    for key, value in values.items():
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            yield key
