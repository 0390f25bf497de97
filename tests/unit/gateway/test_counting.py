"""What a finished request counts for, and that nothing is lost on the way."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.control import counting
from gateway.control.counting import Counting
from gateway.telemetry.outcome import FELL_BACK, NOBODYS_FAULT, outcome_of
from gateway.telemetry.record import OUTCOMES, Rejection, RequestFinished
from routing.decision import Membership
from routing.errors import Unavailable
from routing.stores.sqlite_tallies import SqliteTallies
from routing.tallies import Tallies, unit_digest
from routing.tally import Outcome, Stage

GOOD = RequestFinished(
    request_id="r",
    tenant="acme",
    surface="assist",
    generator="lora",
    model="a@v1",
    reason="SPLIT; rule=rollout; rollout=ro-1; version=1",
    outcome="ok",
    verdict="valid",
    mode="free",
    stream=False,
    prompt_tokens=9,
    completion_tokens=40,
    ttft=0.2,
    duration=1.0,
    upstream=0.9,
    repairs=(),
)
SHOWN = Outcome(
    "candidate",
    ok=True,
    adherent=True,
    repaired=False,
    cited=True,
    ttft=0.2,
    tokens=40,
)
NO_JSON = Rejection("first", "envelope", "no_json")
UNCITED = Rejection("first", "coerce", "citation_unknown")
BROKEN = Outcome("candidate", ok=False, adherent=False, repaired=False)


def seen(**fields: Any) -> Outcome | None:
    return outcome_of("candidate", msgspec.structs.replace(GOOD, **fields))


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, {}),
        ({"verdict": "constrained", "mode": "constrained"}, {}),
        (
            {"verdict": "repaired", "repairs": ("fence",)},
            {"adherent": False, "repaired": True, "tokens": None},
        ),
        (
            {"verdict": "reasked", "rejections": (NO_JSON,)},
            {"adherent": False, "tokens": None},
        ),
        (
            {"verdict": "reasked", "rejections": (UNCITED,)},
            {"adherent": False, "cited": False, "tokens": None},
        ),
        (
            {"verdict": None, "mode": "none"},
            {"adherent": None, "repaired": None, "cited": None, "tokens": None},
        ),
    ],
)
def test_an_answer_shows_how_it_came_to(
    fields: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert seen(**fields) == msgspec.structs.replace(SHOWN, **shown)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        (
            {
                "outcome": "output_invalid",
                "verdict": "invalid",
                "rejections": (NO_JSON,),
            },
            BROKEN,
        ),
        ({"outcome": "output_truncated", "verdict": "truncated"}, BROKEN),
        (
            {
                "outcome": "output_invalid",
                "verdict": "invalid",
                "rejections": (UNCITED,),
            },
            msgspec.structs.replace(BROKEN, cited=False),
        ),
        (
            {"outcome": "upstream_timeout", "verdict": None},
            Outcome("candidate", ok=False),
        ),
        ({"reason": f"SPLIT; {FELL_BACK}"}, Outcome("candidate", ok=False)),
    ],
)
def test_a_failure_is_an_error_and_shows_what_was_seen_of_it(
    fields: dict[str, Any], shown: Outcome
) -> None:
    assert seen(**fields) == shown


@pytest.mark.parametrize("outcome", sorted(NOBODYS_FAULT))
def test_what_is_nobodys_fault_shows_nothing(outcome: str) -> None:
    assert outcome in OUTCOMES
    assert seen(outcome=outcome) is None


MEMBER = Membership("ro-1", 1, "candidate")


class Flaky(SqliteTallies):
    """Tallies that are away for some batches."""

    def __init__(self, path: Path, away: int) -> None:
        super().__init__(path)
        self.away = away

    async def count(self, rollout: str, outcomes: Any) -> None:
        if self.away:
            self.away -= 1
            # the batch was written, and nobody was told
            await super().count(rollout, tuple(outcomes))
            raise Unavailable("away")
        await super().count(rollout, outcomes)


async def counted(tallies: Tallies, units: int) -> Counting:
    found = Counting(tallies)
    for number in range(units):
        found(MEMBER, unit_digest("acme", str(number)), GOOD)
        found.assigned(MEMBER, "acme", str(number))
    return found


async def test_what_the_store_did_not_take_waits_and_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "BATCH", 7)
    tallies = Flaky(tmp_path / "tallies.db", away=3)
    waiting = await counted(tallies, 50)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await waiting.flush()
    await waiting.flush()
    found = (await tallies.stage("ro-1", 1)).candidate
    assert (found.units, found.assigned, found.tokens.n) == (50, 50, 50)
    assert waiting.lost == 0
    await tallies.close()


async def test_what_waits_is_bounded_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_WAITING", 10)
    tallies = SqliteTallies(tmp_path / "tallies.db")
    waiting = await counted(tallies, 8)
    assert waiting.lost == 6
    await waiting.flush()
    assert (await tallies.stage("ro-1", 1)) != Stage()
    await tallies.close()
