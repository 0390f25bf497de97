"""The schema of the assist surface, and how long the properties are looked at."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from structured.schema import Schema, compile_schema

settings.register_profile(
    "nightly",
    max_examples=100_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def assist() -> Schema:
    """The schema that ships."""
    return compile_schema((ROOT / "schemas/assist.json").read_bytes(), name="assist")
