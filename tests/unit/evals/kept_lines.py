"""Lines that a gateway might have kept, for the tests of the watch."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from structured import kept
from structured.kept import Feedback, Output
from structured.prompt import AssistInput, ContextItem
from tests.unit.evals.outputs import drawing, output

GIVEN = AssistInput("How much?", (ContextItem("kb-1", "It holds 1 litre of water."),))


def line(number: int, **more: object) -> Output:
    """A valid output, or what a test makes of it."""
    said = {"status": "ok", "answer": "It holds 1 litre.", "citations": ["kb-1"]}
    usual: dict[str, object] = {
        "id": f"out_{number:06}",
        "at": f"2026-11-28T00:{number // 60 % 60:02}:{number % 60:02}.000+00:00",
        "request_id": "r",
        "tenant": "acme",
        "surface": "assist",
        "generator": "lora",
        "model": "behav@v1",
        "mode": "free",
        "schema": "ab" * 32,
        "verdict": "valid",
        "raw": msgspec.json.encode(said).decode(),
        "repaired": said,
        "refused": False,
        "input": GIVEN,
    }
    return Output(**{**usual, **more})  # type: ignore[arg-type]  -- keyword arguments of a test


def drawn(count: int, first: int = 0, **shift: object) -> list[Output]:
    """Outputs that differ from each other."""
    draw = drawing(first)
    lines: list[Output] = []
    for number in range(first, first + count):
        made = output(draw, **shift)  # type: ignore[arg-type]  -- keyword arguments of a test
        said: dict[str, object] = {
            "status": made.status,
            "answer": made.text,
            "citations": [],
        }
        lines.append(line(number, verdict=made.verdict, repaired=said))
    return lines


def wrote(path: Path, lines: Iterable[Output | Feedback]) -> Path:
    path.write_bytes(b"".join(map(kept.encode, lines)))
    return path
