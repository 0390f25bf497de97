"""A rollout on a running stack: `python -m bench canary`; docs/canary.md.

Clients ask generated questions, a conversation each, until the rollout that this starts
has ended by itself. What happened is told from the gateway's own records, which are kept
as JSON beside a report that is not the documentation's.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from bench import record
from bench.errors import BenchError
from bench.record import TITLE
from evals.environment import Access

OUT: Final = Path("docs/canary.md")
SAMPLES: Final = Path("var/evals/canary.jsonl")
MAKE: Final = "python -m training data --split test --count 3000 --out"
"""So many that none is asked twice: at temperature 0 it would be the same trial."""
CLIENTS: Final = 16
TOKENS: Final = 96
WITHIN: Final = 2_400.0
LOOK_SECONDS: Final = 5.0
ENDED: Final = ("promoted", "rolled_back")
ROLLED_BACK: Final = 3
"""The exit code of a rollout that ended, and not as its candidate would have it."""
CANDIDATE: Final = "lora=acme-behav-lora@v1"
OVERRIDE: Final = "a bench of the controller, whatever the evals say of the candidate"

PLAN: Final[dict[str, Any]] = {
    "tenants": ["acme"],
    "surfaces": ["assist"],
    "steps": [
        {"weight": 500, "units": 10, "seconds": 30},
        {"weight": 2_500, "units": 40, "seconds": 30},
        {"weight": 5_000, "units": 80, "seconds": 30},
    ],
    "staging_units": 30,
    "staging_seconds": 30,
    "shadow": 2_500,
    # The adapter's own evals say 98 %; a small model's answers are not the product's.
    "gates": [
        {"measure": "adherence", "harm": 0.05, "good": 0.1},
        {"measure": "repairs", "harm": 0.05, "good": 0.1},
        {"measure": "citations", "harm": 0.05, "good": 0.1},
        {"measure": "errors", "harm": 2.0, "good": 0.1},
        {"measure": "refusals", "harm": 0.25, "good": 0.4},
        {"measure": "accuracy", "harm": 0.6, "good": 0.8},
        {"measure": "shadow", "harm": 1.0, "good": 1.5},
    ],
}
"""What is left out or loosened, the record names: on a CPU an adapter's first token
takes a multiple of the base's, and a base that is never valid gives no control for
tokens. By its evals the adapter cites exactly what it should in 59 % of the cases."""


class Canary(msgspec.Struct, frozen=True):
    """Which rollout, and where its report goes."""

    generator: str
    model: str
    """The candidate: a generator and an adapter's ref."""
    out: Path = OUT
    """Markdown; its JSON gets the same name."""
    samples: Path = SAMPLES
    """JSON lines with an `input` each: what the clients ask."""


class Seen(msgspec.Struct, frozen=True):
    """A rollout that has ended, as the gateway tells it."""

    seconds: float
    rollout: dict[str, Any]
    records: list[dict[str, Any]]
    """Looks, the oldest first."""


def canary(candidate: str, out: Path, samples: Path = SAMPLES) -> Canary:
    """Read `GENERATOR=REF`. Raises BenchError, which says what is right."""
    generator, found, model = candidate.partition("=")
    if not (found and generator and model):
        raise BenchError(f"--candidate {candidate}: {CANDIDATE} is right")
    return Canary(generator, model, out, samples)


def main(access: Access, wanted: Canary) -> int:
    """Run it, write its report, print it; `ROLLED_BACK` unless it was promoted."""
    seen = asyncio.run(_run(access, wanted))
    text = _report(wanted, seen)
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    wanted.out.write_text(text)
    if wanted.out == OUT:
        record.main()
    else:
        wanted.out.with_suffix(".json").write_bytes(msgspec.json.encode(seen))
    sys.stdout.write(text)
    return 0 if seen.rollout["phase"] == "promoted" else ROLLED_BACK


async def _run(access: Access, wanted: Canary) -> Seen:
    questions = _questions(wanted.samples)
    admin = httpx.AsyncClient(
        base_url=f"{access.admin_url}/admin/v1/",
        headers={"authorization": f"Bearer {access.admin_key}"},
        timeout=30,
    )
    data = httpx.AsyncClient(
        base_url=access.url,
        headers={"authorization": f"Bearer {access.key}"},
        timeout=120,
        limits=httpx.Limits(max_connections=None),
    )
    async with admin, data:
        candidate = {"generator": wanted.generator, "model": wanted.model}
        body = {
            "plan": {"candidate": candidate, **PLAN},
            "override": OVERRIDE,
            "why": "python -m bench canary",
        }
        made = await admin.post("rollouts", json=body)
        if made.status_code != HTTPStatus.CREATED:
            raise BenchError(f"no rollout: {made.text}")
        id_ = made.json()["id"]
        began = time.monotonic()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(_ask(data, questions, over))
            try:
                found = await _ended(admin, id_, began)
            finally:
                over.set()
        records = await admin.get(f"rollouts/{id_}/records", params={"limit": 1_000})
    took = time.monotonic() - began
    looks: list[dict[str, Any]] = records.json()["records"][::-1]
    return Seen(took, found, looks)


def _questions(samples: Path) -> Iterator[tuple[str, Any]]:
    """A conversation's id and its input, each question once."""
    try:
        lines = samples.read_bytes().splitlines()
    except OSError as error:
        raise BenchError(f"no {samples}; first: {MAKE} {samples}") from error
    now = int(time.monotonic())
    return (
        (f"canary-{now}-{number}", msgspec.json.decode(line)["input"])
        for number, line in enumerate(lines)
    )


async def _ask(
    client: httpx.AsyncClient, questions: Iterator[tuple[str, Any]], over: asyncio.Event
) -> None:
    for conversation, given in questions:
        if over.is_set():
            return
        body = {
            "input": given,
            "conversation": conversation,
            "temperature": 0,
            "max_tokens": TOKENS,
        }
        reply = await client.post("/v1/assist", json=body)
        if reply.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            await asyncio.sleep(1)


async def _ended(admin: httpx.AsyncClient, id_: str, began: float) -> dict[str, Any]:
    told = ""
    while time.monotonic() - began < WITHIN:
        found: dict[str, Any] = (await admin.get(f"rollouts/{id_}")).json()
        look = found["look"] or {"missing": ()}
        now = f"{found['phase']} at {found['weight'] / 100:g} %"
        if now != told:
            told = now
            sys.stderr.write(f"{time.monotonic() - began:5.0f} s: {now}\n")
        sys.stderr.write(f"        waits for: {'; '.join(look['missing'])}\n")
        if found["phase"] in ENDED:
            return found
        await asyncio.sleep(LOOK_SECONDS)
    raise BenchError(f"{id_} has not ended within {WITHIN:.0f} s")


def _report(wanted: Canary, seen: Seen) -> str:
    found, looks = seen.rollout, seen.records
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    begun = found["begun"]
    rows = [
        f"| {look['sight']['now'] - begun:.0f} s | {look['event']}"
        f" | {look['after']['phase']} | {_units(look)} |"
        for look in looks
        if look["event"]
    ]
    gates = [
        f"| {each['measure']} | {each['verdict']} | {_rate(each)} |"
        f" {10 ** each['harm']:.2g} | {10 ** min(each['good'], 9):.3g} |"
        for each in looks[-1]["readings"]
    ]
    started_anyway = bool(found["overridden"])
    return "\n".join(
        [
            f"# {TITLE}",
            "",
            (
                f"Made on {today} by `python -m bench canary` against `make up`: base →"
                f" {wanted.model} for the tenant acme, {CLIENTS} clients with a conversation"
                f" a question, vLLM on 2 cores. Nobody touched it: {found['phase']} after"
                f" {seen.seconds:.0f} s ({found['ended']})."
            ),
            "",
            "| after | event | then | units at the step: candidate, control |",
            "|--:|---|---|---|",
            *rows,
            "",
            "At its end, evidence of harm (100 rolls back) and of good (20 passes):",
            "",
            "| gate | verdict | failures of the candidate | harm | good |",
            "|---|---|--:|--:|--:|",
            *gates,
            "",
            f"Not held to: {'; '.join(found['left_out'])}.",
            "",
            *([f"Started although: {found['overridden']}.", ""] * started_anyway),
        ]
    )


def _units(look: dict[str, Any]) -> str:
    stage = look["sight"]["stages"][-1]
    return f"{stage['candidate']['units']}, {stage['control']['units']}"


def _rate(reading: dict[str, Any]) -> str:
    failures, successes = reading["candidate"]
    return f"{failures} of {failures + successes}"
