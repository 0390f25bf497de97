"""What a rule is, and the limits that several rules and panels share."""

from typing import Final

import msgspec

MIN_OUTPUTS: Final = 100
"""Outputs below which no alert speaks about shares."""
ADHERENCE: Final = 0.99


class Record(msgspec.Struct, frozen=True):
    """A recording rule; `why` becomes a comment above it."""

    record: str
    expr: str
    why: str


class Alert(msgspec.Struct, frozen=True):
    """An alerting rule. `severity`: page wakes somebody, ticket waits for the day."""

    alert: str
    expr: str
    lasts: str
    severity: str
    summary: str
    description: str


class Group(msgspec.Struct, frozen=True):
    """Rules that are evaluated one after the other, so that later ones see earlier."""

    name: str
    rules: tuple[Record | Alert, ...]
