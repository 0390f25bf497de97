"""Registration of a JSON Schema (2020-12): capped, offline, compiled once.

A schema may come with a request, so it is input like any other. It cannot fetch
(references stay inside the document, or lead to a schema that is registered), cannot
backtrack (the regex engine is linear) and cannot multiply: references that fan out are
counted as the validator will walk them, because a chain of 24 definitions, each of
which uses the next one twice, is 16 million evaluations of one value.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, cast

import jsonschema_rs
import msgspec

from structured import pointer
from structured.cost import Costs, costs
from structured.errors import ParseError, SchemaError
from structured.expansion import expansion
from structured.load import Load, load
from structured.parse import parse, size
from structured.references import subschemas
from structured.units import COPIED, COPIED_NUMBER, MOST, RAISED, Cost

MAX_BYTES: Final = 32 * 1024
MAX_NODES: Final = 1_000
MAX_DEPTH: Final = 64
MAX_EXPANSION: Final = 10_000
"""Most evaluations that one walk over the schema, references followed, may take."""

MAX_PATTERNS: Final = 32
"""Most regular expressions in one schema; see `PATTERN_BYTES`."""

PATTERN_BYTES: Final = 100_000
"""Most memory that one compiled regular expression may take. The engine is linear in
the text, but each of its steps costs in proportion to this: `a{0,3000}x` over 1 MB of
`a` runs for 37 s without a limit, `a{0,1200}x`, about the largest, for 18 ms."""

MAX_WORK: Final = MOST
"""Most units for one instance: the validator holds the interpreter's lock."""

MAX_EACH: Final = MAX_WORK // 10
"""Most units for one value of it: a schema that refuses ten of them is of no use."""

_MATCHED: Final = 2
"""Units for a byte and a regular expression."""

_HASHED: Final = 20
"""`uniqueItems` compares large integers with each other: pairs of digits in a unit."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MESSAGE: Final = 300
_UNPLACED: Final = "does not fit; finding out where would take too long"
_TOO_MUCH: Final = (
    "too much work for one value; what helps: fewer `unevaluated…` inside each other,"
    " fewer or shorter numbers in `enum`, less under `anyOf`"
)
_WHERE_TO: Final = (
    "; a reference leads inside the document ('#/$defs/NAME')"
    " or to the $id of a registered schema"
)
_PATTERN: Final = (
    f"; a regular expression takes at most {PATTERN_BYTES} bytes once compiled: counted"
    " repetitions multiply, so bound lengths by maxLength"
)


class Violation(msgspec.Struct, frozen=True):
    """The first fault of an instance; never quotes its text."""

    path: str
    code: str
    message: str


class Schema(msgspec.Struct, frozen=True):
    """A compiled schema; `digest` is the SHA-256 of its source in hex."""

    name: str
    digest: str
    document: object
    guide: object
    """`document` where each of its keywords means what it says at its place; else
    `true`, which guides nobody: in a schema with embedded resources or a dialect of its
    own, following a reference by its pointer may lead to the wrong place."""
    costs: Costs
    validator: jsonschema_rs.Draft202012Validator

    def errors(self, value: object, *, size: int | None = None) -> Violation | None:
        """Return the first violation of a parsed value, or None if it is valid.

        `size` is the length of its text in bytes, if that is known. A violation has
        the root's path where finding the place would take too long.
        """
        asked = self.costs.asked
        # weighing the value takes longer than most checks
        if size is None or _work(asked, Load.most(size)) > MAX_WORK:
            weighed = load(value)
            if _work(asked, weighed) > MAX_WORK:
                return Violation("", "too_complex", "too many values for this schema")
        if self.validator.is_valid(value):
            return None
        weighed = load(value)
        told = self.costs.at(weighed.depth)
        if told is None or _work(told, weighed) + _copies(told, weighed) > MAX_WORK:
            return Violation("", "schema", _UNPLACED)
        try:
            self.validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            path = pointer.join(error.instance_path)
            return Violation(path[:_MESSAGE], "schema", error.message[:_MESSAGE])
        return None  # pragma: no cover (is_valid and validate agree)


def _work(cost: Cost, weighed: Load) -> int:
    """Units that a check takes at most."""
    each = cost.each + weighed.depth * cost.nested
    pairs = weighed.digits * weighed.digits // _HASHED if cost.nested else 0
    return (
        weighed.values * each
        + weighed.numbers * cost.numeric
        + weighed.text * cost.scans * _MATCHED
        + pairs
    )


def _copies(cost: Cost, weighed: Load) -> int:
    """Units that a reason takes more: an error holds a copy of what it is about.

    One that is told may be about all of it; those below alternatives, about each value
    with all that is in it.
    """
    whole = weighed.values * COPIED + weighed.numbers * COPIED_NUMBER
    every = 1 + (weighed.depth + 1) * cost.branched
    return whole * every + weighed.values * RAISED


def compile_schema(
    source: bytes, *, name: str, registered: Mapping[str, object] | None = None
) -> Schema:
    """Compile the bytes of a schema for later checks.

    Args:
        source: JSON text.
        name: what people call it.
        registered: documents that its references may lead to, by their URI.

    Raises:
        SchemaError: with a pointer to what is wrong, and what would be right.
    """
    others = registered or {}
    document = _read(source)
    plain = _plain(document, others)
    expansion(document, others, limit=MAX_EXPANSION)
    cost = costs(document, others)
    if cost.asked.each + cost.asked.numeric > MAX_EACH:
        raise SchemaError("", _TOO_MUCH)
    try:
        validator = jsonschema_rs.Draft202012Validator(
            cast("dict[str, object] | bool", document),
            offline=True,
            registry=jsonschema_rs.Registry(list(others.items())) if others else None,  # pyright: ignore[reportArgumentType] -- parsed JSON
            pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES),
            mask="value",
        )
    except jsonschema_rs.ValidationError as error:
        told = error.message[:_MESSAGE]
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
            told += _WHERE_TO
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Format):
            told += _PATTERN
        raise SchemaError(pointer.join(error.instance_path), told) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError("", str(error)[:_MESSAGE]) from None
    return Schema(
        name=name,
        digest=sha256(source).hexdigest(),
        document=document,
        guide=document if plain else True,
        costs=cost,
        validator=validator,
    )


def _read(source: bytes) -> object:
    if len(source) > MAX_BYTES:
        raise SchemaError("", f"{len(source)} bytes; at most {MAX_BYTES} are allowed")
    try:
        document = parse(source)
    except ParseError as error:
        raise SchemaError("", f"not strict JSON: {error}") from None
    # a string would be compiled as the text of a schema, past every check here
    if not isinstance(document, dict | bool):
        raise SchemaError("", "a schema is an object, true or false")
    if size(cast("object", document)) > MAX_NODES:
        raise SchemaError("", f"more than {MAX_NODES} values; split or simplify it")
    _check_bounds(cast("object", document))
    return cast("object", document)


def _check_bounds(document: object) -> None:
    """Look at every value, since a reference's pointer may make a schema of any."""
    patterns = 0
    stack: list[tuple[object, tuple[str | int, ...]]] = [(document, ())]
    while stack:
        node, path = stack.pop()
        if len(path) > MAX_DEPTH:
            raise SchemaError(pointer.join(path), f"nested deeper than {MAX_DEPTH}")
        if isinstance(node, dict):
            members = cast("dict[str, object]", node)
            patterns += _patterns(members)
            stack.extend((child, (*path, key)) for key, child in members.items())
        elif isinstance(node, list):
            items = cast("list[object]", node)
            stack.extend((child, (*path, at)) for at, child in enumerate(items))
        if patterns > MAX_PATTERNS:
            raise SchemaError(
                pointer.join(path),
                f"more than {MAX_PATTERNS} regular expressions in one schema",
            )


def _plain(document: object, registered: Mapping[str, object]) -> bool:
    """Whether every pointer in a schema starts at its root; checks its dialects.

    Raises:
        SchemaError: a part of it is written in another dialect.
    """
    plain = True
    stack: list[tuple[object, tuple[str | int, ...]]] = [(document, ())]
    while stack:
        node, path = stack.pop()
        if isinstance(node, dict):
            members = cast("dict[str, object]", node)
            stack.extend((below, path + steps) for steps, below in subschemas(members))
            dialect = members.get("$schema", DIALECT)
            if isinstance(dialect, str) and dialect.rstrip("#") != DIALECT:
                if dialect.rstrip("#") not in registered:
                    where = pointer.join((*path, "$schema"))
                    raise SchemaError(where, f"only {DIALECT!r} is supported")
                plain = False
            plain = plain and not (path and isinstance(members.get("$id"), str))
    return plain


def _patterns(members: dict[str, object]) -> int:
    """How many regular expressions a schema has itself."""
    by_name = members.get("patternProperties")
    return isinstance(members.get("pattern"), str) + (
        len(cast("dict[str, object]", by_name)) if isinstance(by_name, dict) else 0
    )
