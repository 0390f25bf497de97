"""JSON objects from outside, read so that no two readers can disagree on them."""

import json
from typing import NoReturn


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            # Parsers differ in which of the two they keep: what was checked
            # would not be what is loaded.
            raise ValueError(f"{name!r} stands twice in one object")
        found[name] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def strict_object(raw: bytes) -> dict[str, object]:
    """Read one JSON object: UTF-8, no name twice, no NaN, no Infinity.

    Raises:
        ValueError: it is anything else, or nested too deeply.
    """
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - a wrong value, not a wrong call
    return {str(name): inner for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a JSON object's names are texts
