"""S3: find the one JSON text in what a model wrote around it.

Fences and prose carry no weight: what counts is that the text holds exactly one
candidate of the schema's root kind. Anything that smells of a torn candidate (a stray
bracket, a quote or comma at the seam) makes it ambiguous, because prose is dropped
and a dropped member would be a silent loss.
"""

import re
from typing import Final

from structured.errors import EnvelopeError
from structured.lexer import MAX_TOKENS, Span, lex
from structured.outcome import Repair

MAX_CANDIDATES: Final = 8
_BOM: Final = b"\xef\xbb\xbf"
_PLACEHOLDER: Final = re.compile(rb"\{\s*+[A-Za-z_][\w.-]*+\s*+\}")
_TORN_BEFORE: Final = re.compile(rb"(?:[\[\]{}\"]|[\"\]}\d]\s*+[:,])\s*+\Z")
_TORN_AFTER: Final = re.compile(rb"\s*+[\[\]{}:,\"]")
_FENCE_BEFORE: Final = re.compile(rb"(?:\A|\n)[ \t]*+(```[ \t]*+[\w+-]*+)\s*+\Z")
_FENCE_AFTER: Final = re.compile(rb"\s*+```")
_SEAM: Final = 256
"""How far from a candidate the seam is looked at, in bytes."""


def find(raw: bytes, openers: str) -> tuple[Span, ...]:
    """Return the candidates, in order; raises EnvelopeError.

    `openers` are the brackets with which the schema's root may start: `{`, `[`, both
    or neither. Only the last candidate can be open.
    """
    if not openers or raw.lstrip().startswith(b'"'):
        raise EnvelopeError("no_json", "the text holds no JSON of the schema's kind")
    spans = _spans(raw, openers)
    if not spans:
        raise EnvelopeError("no_json", "the text holds no JSON of the schema's kind")
    _check_seams(raw, spans)
    return tuple(spans)


def _spans(raw: bytes, openers: str) -> list[Span]:
    closers = openers.translate({ord("{"): "}", ord("["): "]"})
    brackets = re.compile(b"[" + re.escape(openers + closers).encode() + b"]")
    spans: list[Span] = []
    at = tokens = 0
    while match := brackets.search(raw, at):
        if match.group().decode() in closers:
            raise EnvelopeError("ambiguous", f"a stray bracket at byte {match.start()}")
        if placeholder := _PLACEHOLDER.match(raw, match.start()):
            at = placeholder.end()
            continue
        spans.append(lex(raw, match.start()))
        at = spans[-1].end
        tokens += len(spans[-1].tokens)
        if len(spans) > MAX_CANDIDATES or tokens > MAX_TOKENS:
            raise EnvelopeError("ambiguous", "too many candidates to tell apart")
    return spans


def _check_seams(raw: bytes, spans: list[Span]) -> None:
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(raw)]
    for number, (left, right) in enumerate(zip(ends, starts, strict=True)):
        gap = raw[left:right]
        last = number == len(spans)
        if (not last and _TORN_BEFORE.search(gap.rstrip()[-_SEAM:])) or (
            number and _TORN_AFTER.match(gap)
        ):
            raise EnvelopeError(
                "ambiguous", f"the text around byte {left} looks like part of the JSON"
            )


def describe(raw: bytes, spans: tuple[Span, ...]) -> tuple[Repair, ...]:
    """List what is dropped when the first of equal candidates is kept."""
    first, last = spans[0], spans[-1]
    repairs: list[Repair] = []
    start, end = 0, last.end
    if raw.startswith(_BOM):
        repairs.append(Repair("bom", 0))
        start = len(_BOM)
    seam = max(start, first.start - _SEAM)
    before = _FENCE_BEFORE.search(raw[seam : first.start])
    after = _FENCE_AFTER.match(raw, end)
    stop = seam + before.start(1) if before and after else first.start
    if raw[start:stop].strip():
        repairs.append(Repair("prose", start))
    if before and after:
        repairs.append(Repair("fence", stop))
        end = after.end()
    repairs.extend(Repair("repeated", span.start) for span in spans[1:])
    if raw[end:].strip():
        repairs.append(Repair("prose", end))
    return tuple(repairs)
