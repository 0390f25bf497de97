"""The schema of the assist surface, for every test that checks against it."""

from pathlib import Path

import pytest

from structured.schema import Schema, compile_schema

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def assist() -> Schema:
    """The schema that ships."""
    return compile_schema((ROOT / "schemas/assist.json").read_bytes(), name="assist")
