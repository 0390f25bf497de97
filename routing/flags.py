"""The flag document: what `GENERATOR` means now, as one frozen value.

A document that exists is valid: the checks run on construction, on decoding and
on `msgspec.structs.replace` alike.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, get_args

import msgspec

from routing.bucketing import BUCKETS, check_name
from routing.errors import FlagError, PartError

FLAG: Final = "GENERATOR"
"""The flag's key, in the bucketing key as well as for OpenFeature."""

Generator = Literal["base", "lora", "lora_pref"]
"""What answers a request; the flag's variants."""

Scope = Literal["global", "tenant", "surface", "variant"]
"""What a kill takes the boost away from."""

GENERATORS: Final[tuple[Generator, ...]] = get_args(Generator)
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_KILLABLE: Final = GENERATORS[1:]


class SurfaceRule(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What one surface gets instead of the document's percentages.

    Either `variant`, which pins all of its requests, or weights in basis points;
    a weight left out is the document's.
    """

    variant: Generator | None = None
    lora: int | None = None
    lora_pref: int | None = None


class Kill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in this scope gets the base, whatever else the document says.

    `name` is the tenant, the surface or the variant; it is empty for "global".
    """

    scope: Scope
    name: str = ""


class FlagDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides which generator a request gets.

    `lora` and `lora_pref` are basis points (500 is 5 %) of the units; they grow
    from opposite ends of the buckets, and what lies between gets `default`.
    `salt` is the release's id: another salt is another draw of guinea pigs.

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
    hash: Literal["flagd-v3"] = "flagd-v3"

    def __post_init__(self) -> None:
        """Refuse what cannot be true."""
        _check_part("salt", "salt", self.salt)
        _check_weights("", self.lora, self.lora_pref)
        for tenant in self.overrides:
            _check_part(f"overrides.{tenant}", "tenant", tenant)
        for name, rule in self.surfaces.items():
            _check_part(f"surfaces.{name}", "surface", name)
            _check_rule(f"surfaces.{name}", rule, self)
        for at, kill in enumerate(self.kills):
            _check_kill(f"kills[{at}]", kill)
            if kill in self.kills[:at]:
                raise FlagError(f"kills[{at}]", "is listed already: once is enough")


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


def _check_part(path: str, part: str, text: str) -> None:
    try:
        check_name(part, text)
    except PartError as error:
        raise FlagError(path, error.message) from error


def _check_weights(path: str, lora: int, lora_pref: int) -> None:
    for name, weight in (("lora", lora), ("lora_pref", lora_pref)):
        if not 0 <= weight <= BUCKETS:
            raise FlagError(
                f"{path}.{name}".lstrip("."),
                f"is {weight}: a weight is 0 to {BUCKETS} basis points (500 is 5 %)",
            )
    if lora + lora_pref > BUCKETS:
        raise FlagError(
            path or "lora",
            f"lora ({lora}) and lora_pref ({lora_pref}) are {lora + lora_pref} basis"
            f" points together: at most {BUCKETS} can be given away",
        )


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
    _check_weights(path, lora, lora_pref)


def rule_weights(rule: SurfaceRule, document: FlagDocument) -> tuple[int, int]:
    """Return a surface's weights of lora and lora_pref, the document's where unset."""
    lora = document.lora if rule.lora is None else rule.lora
    lora_pref = document.lora_pref if rule.lora_pref is None else rule.lora_pref
    return lora, lora_pref


def _check_kill(path: str, kill: Kill) -> None:
    if kill.scope == "global":
        if kill.name:
            raise FlagError(
                f"{path}.name",
                f"is {kill.name!r}: a global kill has no name;"
                " use the scope tenant, surface or variant to kill one",
            )
    elif kill.scope == "variant":
        if kill.name not in _KILLABLE:
            raise FlagError(
                f"{path}.name",
                f"is {kill.name!r}: {' and '.join(_KILLABLE)} can be killed,"
                " the base is what a kill gives",
            )
    else:
        _check_part(f"{path}.name", kill.scope, kill.name)


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
