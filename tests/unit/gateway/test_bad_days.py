"""Every bad day of the benchmark of stalls ends in the outcome that is owed."""

from pathlib import Path

import pytest

from bench.hostile import CASES, body, engine, outcome
from tests.stack import configuration, running
from tests.unit.gateway.test_faults import until_ready

SURFACES = """
[surfaces.loose]
schema = "{0}"
mode = "free"
reask = 0
[surfaces.again]
schema = "{0}"
mode = "free"
reask = 1
[tenants.acme]
surfaces = ["loose", "again"]
"""


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=case.name)
        for number, case in enumerate(CASES)
        if not case.leaves
    ],
)
async def test_a_bad_day_ends_in_what_is_owed(number: int, tmp_path: Path) -> None:
    loose = tmp_path / "loose.json"
    loose.write_text('{"type": ["object", "array", "string"]}')
    async with engine() as url:
        settings = configuration([url], tmp_path, extra=SURFACES.format(loose))
        async with running(settings) as stack:
            await until_ready(stack, 200)
            reply = await stack.post("/v1/chat/completions", body(number))
    assert outcome(reply.status, reply.json) == CASES[number].expected
