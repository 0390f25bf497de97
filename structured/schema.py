"""Registration of a JSON Schema (2020-12): capped, offline, compiled once.

A schema may come with a request, so it is input like any other. It cannot fetch
(references stay inside the document), cannot backtrack (the regex engine is linear)
and cannot multiply: `$ref`s that fan out are counted as the validator will walk
them, because a chain of 24 definitions, each of which uses the next one twice, is 16
million evaluations of one value.
"""

from hashlib import sha256
from typing import Final, cast

import jsonschema_rs
import msgspec

from structured import pointer
from structured.errors import ParseError, SchemaError
from structured.expansion import expansion
from structured.parse import parse, size

MAX_BYTES: Final = 32 * 1024
MAX_NODES: Final = 1_000
MAX_DEPTH: Final = 64
MAX_EXPANSION: Final = 10_000
"""Most evaluations that one walk over the schema, references followed, may take."""

MAX_WORK: Final = 5_000_000
"""Most evaluations for one instance: its nodes times the schema's expansion."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MESSAGE: Final = 300


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
    expansion: int
    validator: jsonschema_rs.Draft202012Validator

    def errors(self, value: object) -> Violation | None:
        """Return the first violation of a parsed value, or None if it is valid."""
        if self.expansion * size(value) > MAX_WORK:
            return Violation("", "too_complex", "too many values for this schema")
        if self.validator.is_valid(value):
            return None
        try:
            self.validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            path = pointer.join(error.instance_path)
            return Violation(path[:_MESSAGE], "schema", error.message[:_MESSAGE])
        return None  # pragma: no cover (is_valid and validate agree)


def compile_schema(source: bytes, *, name: str) -> Schema:
    """Compile the bytes of a schema for later checks; raises SchemaError."""
    document = _read(source)
    work = expansion(document, limit=MAX_EXPANSION)
    try:
        validator = jsonschema_rs.Draft202012Validator(
            cast("dict[str, object] | bool", document),
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask="value",
        )
    except jsonschema_rs.ValidationError as error:
        path = pointer.join(error.instance_path)
        raise SchemaError(path, error.message[:_MESSAGE]) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError("", str(error)[:_MESSAGE]) from None
    return Schema(
        name=name,
        digest=sha256(source).hexdigest(),
        document=document,
        expansion=work,
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
    _look(cast("object", document))
    return cast("object", document)


def _look(document: object) -> None:
    """Check depth and the keywords that could lead outside the document."""
    stack: list[tuple[object, tuple[str | int, ...]]] = [(document, ())]
    while stack:
        node, path = stack.pop()
        if len(path) > MAX_DEPTH:
            raise SchemaError(pointer.join(path), f"nested deeper than {MAX_DEPTH}")
        if isinstance(node, dict):
            members = cast("dict[str, object]", node)
            _check_keywords(members, path)
            stack.extend((child, (*path, key)) for key, child in members.items())
        elif isinstance(node, list):
            items = cast("list[object]", node)
            stack.extend((child, (*path, at)) for at, child in enumerate(items))


def _check_keywords(members: dict[str, object], path: tuple[str | int, ...]) -> None:
    where = pointer.join(path)
    dialect = members.get("$schema", DIALECT)
    if isinstance(dialect, str) and dialect not in (DIALECT, f"{DIALECT}#"):
        raise SchemaError(f"{where}/$schema", f"only {DIALECT!r} is supported")
    if path and isinstance(members.get("$id"), str):
        raise SchemaError(f"{where}/$id", "only the root may have an $id")
    for keyword in ("$dynamicRef", "$anchor", "$dynamicAnchor"):
        if isinstance(members.get(keyword), str):
            raise SchemaError(
                f"{where}/{keyword}", "not supported; use $ref '#/$defs/NAME'"
            )
