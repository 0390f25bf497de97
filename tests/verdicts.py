"""Verdicts of the evals, made up; and one that passes, filed where a test needs it."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from adapters.manifest import encode_hook
from adapters.refs import AdapterRef, BaseRef
from adapters.verdict import EvalVerdict, GateResult, overall
from tests.stack import Stack

LORA = "acme-behav-lora@v1"
BASE = "smollm2-135m-instruct@1.0"
PASSED = GateResult("adherence", "pass", "at least 99 %", 650, 0.998, 0.9927, 1.0)
FAILED = GateResult("refusal", "fail", "at least 99 %", 650, 0.81, 0.783, 0.835)
UNSURE = GateResult(
    "citation", "inconclusive", "at least 95 %", 40, 0.975, 0.91, says="60 more"
)


def verdict(ref: str, digest: str, *gates: GateResult, **changes: Any) -> EvalVerdict:
    """What the evals may have found of an adapter; without gates, that it passes."""
    found = gates or (PASSED,)
    made = EvalVerdict(
        ref=AdapterRef(ref),
        digest=digest,
        base=BaseRef(BASE),
        verdict=overall(tuple(gate.verdict for gate in found)),
        gates=found,
        confidence=0.95,
        samples=1_300,
        samples_digest="5" * 64,
        gates_digest="6" * 64,
        made=datetime(2026, 11, 22, 21, 0, tzinfo=UTC),
        command="python -m evals suite",
        evidence="var/evals/report.html",
    )
    return msgspec.structs.replace(made, **changes)


def as_json(found: EvalVerdict) -> dict[str, Any]:
    """The verdict as a body of JSON has it, whether or not it is one."""
    return msgspec.json.decode(msgspec.json.encode(found, enc_hook=encode_hook))


async def digest_of(stack: Stack, ref: str) -> str:
    """What a registered ref is bound to."""
    listed = (await stack.admin("GET", "adapters")).json["adapters"]
    return {each["ref"]: each["digest"] for each in listed}[ref]


async def vouched(stack: Stack, *gates: GateResult, ref: str = LORA) -> EvalVerdict:
    """File a verdict on a registered adapter; without gates, that it passes."""
    made = verdict(ref, await digest_of(stack, ref), *gates)
    body = as_json(made) | {"why": "a test"}
    reply = await stack.admin("PUT", f"adapters/{ref}/verdict", body)
    assert reply.status == 200, reply.body
    return made
