"""One output, from the bytes of the model to what may go out.

S1 gate: a text that did not end by itself is never complete. S2 strict: the bytes as
they are. S3 envelope and S4 syntax: only for bytes that are not JSON. S5 coercion: only
for JSON that does not fit. All three only if asked for, and what they return goes
through S2 like any other.
"""

from typing import Final, cast

import msgspec

from structured.closing import full, openers
from structured.coerce import coerce
from structured.envelope import describe, find
from structured.errors import EnvelopeError, ParseError, RepairError
from structured.lexer import Span
from structured.outcome import Accepted, Rejected, Repair
from structured.parse import MAX_BYTES, parse
from structured.preserve import preserved
from structured.repair import apply, edits
from structured.schema import Schema, Violation

MAX_REPAIR_BYTES: Final = 64 * 1024
"""Longest text that is repaired: bounds the time one answer can hold the loop."""

MAX_REPAIRS: Final = 256
_TWO: Final = "several JSON texts that differ; exactly one is expected"
_CLOSER: Final = {"{": b"}", "[": b"]"}


def check(
    raw: bytes,
    schema: Schema,
    *,
    context_ids: frozenset[str] | None,
    finish_reason: str | None,
    repair: bool,
    drop_extra: bool = False,
) -> Accepted | Rejected:
    """Decide whether an output may go out, and as which bytes. Raises nothing.

    `context_ids` are what a top-level `citations` may name; None leaves them alone.
    `drop_extra` lets a repair drop members that the schema forbids. White space around
    strict JSON is part of JSON: such bytes are valid as they are.
    """
    refused = _gate(raw, finish_reason)
    if refused is not None:
        return refused
    origins: tuple[int, ...] | None = None
    try:
        found = Accepted(raw, parse(raw))
    except ParseError as error:
        if not repair or error.code != "invalid_json":
            return Rejected("strict", error.code, "", str(error))
        recovered = _recover(raw, schema)
        if isinstance(recovered, Rejected):
            return recovered
        found, origins = recovered
    outcome = _strict(found, schema, context_ids)
    if not repair or isinstance(outcome, Accepted) or outcome.code == "too_complex":
        return outcome
    return _coerce(found, outcome, schema, context_ids, origins, drop_extra=drop_extra)


def _gate(raw: bytes, finish_reason: str | None) -> Rejected | None:
    if finish_reason == "length":
        return Rejected("gate", "truncated", "", "the output was cut at max_tokens")
    if finish_reason != "stop":
        return Rejected(
            "gate", "incomplete", "", f"finish_reason is {finish_reason!r}, not 'stop'"
        )
    if len(raw) > MAX_BYTES:
        return Rejected("gate", "too_large", "", f"longer than {MAX_BYTES} bytes")
    return None


def _strict(
    found: Accepted, schema: Schema, context_ids: frozenset[str] | None
) -> Accepted | Rejected:
    fault = schema.errors(found.value, size=len(found.raw))
    if fault is None and context_ids is not None:
        fault = _citations(found.value, context_ids)
    if fault is None:
        return found
    return Rejected(
        "strict", fault.code, fault.path, fault.message, found.repairs, found.value
    )


def _citations(value: object, context_ids: frozenset[str]) -> Violation | None:
    """Check what is cited. What cannot be checked is not passed off as checked."""
    if not isinstance(value, dict) or "citations" not in value:
        return None
    cited = cast("dict[str, object]", value)["citations"]
    if not isinstance(cited, list):
        return Violation("/citations", "citation_type", "must be an array of ids")
    seen: set[str] = set()
    for at, name in enumerate(cast("list[object]", cited)):
        path = f"/citations/{at}"
        if not isinstance(name, str):
            return Violation(path, "citation_type", "must be an id, which is a string")
        if name not in context_ids:
            return Violation(path, "citation_unknown", "not an id of the context")
        if name in seen:
            return Violation(path, "citation_repeated", "is cited twice")
        seen.add(name)
    return None


def _coerce(
    found: Accepted,
    refused: Rejected,
    schema: Schema,
    context_ids: frozenset[str] | None,
    origins: tuple[int, ...] | None,
    *,
    drop_extra: bool,
) -> Accepted | Rejected:
    """Change what the white list allows; what does not help leaves the refusal."""
    if len(found.raw) > MAX_REPAIR_BYTES or schema.guide is True:
        return refused
    made = coerce(
        found.raw, schema.guide, context_ids=context_ids, drop_extra=drop_extra
    )
    if made is None or len(made.changes) > MAX_REPAIRS:
        return refused
    at = made.origins if origins is None else origins
    repairs = (*found.repairs, *(Repair(kind, at[n]) for kind, n in made.changes))
    try:
        value = parse(made.text)
    except ParseError:  # a number that no double can hold, out of its quotes
        return refused
    outcome = _strict(Accepted(made.text, value, repairs), schema, context_ids)
    if isinstance(outcome, Accepted):
        return outcome
    return msgspec.structs.replace(outcome, stage="coerce")


def _recover(raw: bytes, schema: Schema) -> tuple[Accepted, tuple[int, ...]] | Rejected:
    """Return what the text holds, and where its tokens stood in it."""
    try:
        spans = _candidates(raw, schema)
    except EnvelopeError as error:
        return Rejected("envelope", error.code, "", str(error))
    around = describe(raw, spans)
    try:
        results = [_syntax(raw, span, schema) for span in spans]
    except (RepairError, ParseError) as error:
        if len(spans) == 1:
            return Rejected("syntax", "unrepairable", "", str(error), around)
        return Rejected("envelope", "ambiguous", "", _TWO, around)
    # repr tells 1 from 1.0 and from true, which == does not
    if len({repr(result.value) for result in results}) > 1:
        return Rejected("envelope", "ambiguous", "", _TWO, around)
    repairs = sorted(around + results[0].repairs, key=lambda one: one.position)
    found = Accepted(results[0].raw, results[0].value, tuple(repairs))
    return found, spans[0].origins


def _candidates(raw: bytes, schema: Schema) -> tuple[Span, ...]:
    if len(raw) > MAX_REPAIR_BYTES:
        raise EnvelopeError("not_repairable", f"over {MAX_REPAIR_BYTES} bytes")
    if b"\x00" in raw:
        raise EnvelopeError("not_repairable", "a NUL byte: this is not text")
    return find(raw, openers(schema.guide))


def _syntax(raw: bytes, span: Span, schema: Schema) -> Accepted:
    """Return one candidate as strict JSON; raises RepairError or ParseError."""
    if span.fault:
        raise RepairError(span.end, span.fault)
    changes, left_open = edits(raw, span)
    closers = b"".join(_CLOSER[bracket] for bracket in reversed(left_open))
    result = apply(raw, span, changes) + closers
    value = parse(result)
    if not preserved(raw, span, result):
        raise RepairError(span.start, "the repair cannot prove that it kept everything")
    if len(changes) > MAX_REPAIRS:
        raise RepairError(span.start, f"more than {MAX_REPAIRS} repairs")
    repairs = [Repair(kind, edit.start) for edit in changes for kind in edit.kinds]
    if closers:
        last = span.tokens[-1]
        if changes or (last.kind == "word" and last.end == span.end):
            raise RepairError(span.end, "the text breaks off: closers are not all")
        if not full(schema.guide, value, len(closers)):
            raise RepairError(span.end, "the text breaks off where more may follow")
        repairs += [Repair("missing_closer", span.end)] * len(closers)
    return Accepted(result, value, tuple(repairs))
