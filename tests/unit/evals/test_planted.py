"""Planted faults: each is failed by the gate that is for it, and by no other.

The samples are the suite's own, all of them; the generator under test answers each as
its expected answer says, but for one fault.
"""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from evals import gates, suite
from evals.answers import Params
from evals.data.generate import generate
from evals.fake import FakeGateway, Reply, delivered, failed
from evals.result import Judged, Origin
from evals.samples import Sample
from evals.suite import Plan
from evals.target import Target

Fault = Callable[[Sample, Reply], Reply]
ORIGIN = Origin("a test", "2031-01-01", "none", "a CPU")
BASELINE_TOKENS, TOKENS = 100, 82


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    return {sample.id: sample for sample in generate()}


def jitter(sample: Sample, width: int) -> int:
    """A number that is the same for a sample each time, and differs among them."""
    return zlib.crc32(sample.id.encode()) % width


def rightly(sample: Sample, *, tokens: int = TOKENS, **more: str) -> Reply:
    expected = sample.expected
    return delivered(
        more.get("status", expected.status),
        expected.citations if "status" not in more else (),
        text=more.get("text", expected.answer),
        tokens=tokens + jitter(sample, 11) - 5,
    )


def without_fault(_sample: Sample, reply: Reply) -> Reply:
    return reply


def cites_wrongly(sample: Sample, reply: Reply) -> Reply:
    if not sample.expected.citations:
        return reply
    ids = {item.id for item in sample.input.context}
    others = ids - set(sample.expected.citations)
    wrong = tuple(sorted(others))[:1]
    expected = sample.expected
    return delivered(expected.status, wrong, text=expected.answer, tokens=TOKENS)


def never_refuses(sample: Sample, reply: Reply) -> Reply:
    if sample.expected.status != "refused":
        return reply
    return rightly(sample, status="uncertain", text="The context does not say.")


def over_refuses(sample: Sample, reply: Reply) -> Reply:
    if sample.task != "lookalike":
        return reply
    return rightly(sample, status="refused", text="This cannot be answered here.")


def rambles(sample: Sample, reply: Reply) -> Reply:
    expected = sample.expected
    text = f"{expected.answer} {expected.answer}"
    return delivered(
        expected.status,
        expected.citations,
        text=text,
        tokens=2 * TOKENS + jitter(sample, 9),
    )


def english_only(sample: Sample, reply: Reply) -> Reply:
    return reply if sample.locale == "en" else failed(502, "output_invalid")


def gives_secrets_away(sample: Sample, reply: Reply) -> Reply:
    if sample.task != "redteam":
        return reply
    return delivered("ok", (), text=f"It is {sample.forbidden[0]}.", tokens=TOKENS)


def invents_numbers(sample: Sample, reply: Reply) -> Reply:
    if sample.task not in ("grounding", "documents"):
        return reply
    return rightly(sample, text=f"{sample.expected.answer} There are 987654 more.")


def hangs_on_order(sample: Sample, reply: Reply) -> Reply:
    if sample.variant not in ("shuffled", "distractors", "k=8"):
        return reply
    return rightly(sample, status="uncertain", text="The context does not say.")


def has_to_be_mended(sample: Sample, reply: Reply) -> Reply:
    body = msgspec.to_builtins(reply.body)
    if jitter(sample, 4) == 0 and reply.status == 200:
        body["verdict"] = "repaired"
    return Reply(reply.status, body, reply.headers)


def hedges(sample: Sample, reply: Reply) -> Reply:
    if sample.locale != "en" or sample.expected.status != "ok":
        return reply
    return rightly(sample, text=f"{sample.expected.answer} This is probably right.")


def watch(what: str, done: int, total: int) -> None:
    assert done <= total, what


async def judge(
    samples: Mapping[str, Sample],
    fault: Fault,
    connect: Callable[..., Target],
    home: Path,
) -> Judged:
    def behave(conversation: str, generator: str) -> Reply:
        sample = samples[conversation.removeprefix("eval-")]
        if generator == "base":
            return failed(502, "output_invalid", stage="envelope")
        if generator == "constrained":
            return rightly(sample, tokens=BASELINE_TOKENS)
        return fault(sample, rightly(sample))

    plan = Plan(
        samples=tuple(samples.values()),
        gates=gates.load(),
        tenant="acme",
        params=Params("assist", 96),
        generators=("base", "lora"),
        concurrency=32,
    )
    gateway = connect(FakeGateway(behave))
    result = await suite.run(plan, gateway, home, ORIGIN, watch)
    return result.judged[0]


async def test_a_tune_without_fault_passes_every_gate(
    samples: Mapping[str, Sample], connect: Callable[..., Target], tmp_path: Path
) -> None:
    found = await judge(samples, without_fault, connect, tmp_path)
    open_ = {f.name: (f.verdict, f.says) for f in found.findings if f.verdict != "pass"}
    assert open_ == {}
    assert found.verdict == "pass"


def test_gates_of_acceptance_criteria_have_one_sample_a_document(
    samples: Mapping[str, Sample],
) -> None:
    """Else their bounds would be wider, and their power less than is printed."""
    given = gates.load().gates
    for name in ("adherence", "repair", "refusal", "citation"):
        of = [s.document for s in samples.values() if s.task in given[name].tasks]
        assert len(set(of)) == len(of) >= 124, name


@pytest.mark.parametrize(
    ("fault", "by"),
    [
        (cites_wrongly, {"citation"}),
        (never_refuses, {"refusal"}),
        (over_refuses, {"over_refusal"}),
        (rambles, {"tokens"}),
        (english_only, {"locales"}),
        (gives_secrets_away, {"attacks"}),
        (invents_numbers, {"support"}),
        (hangs_on_order, {"stability"}),
        (hedges, {"style"}),
        # What was mended did not adhere: the two criteria are not independent.
        (has_to_be_mended, {"repair", "adherence"}),
    ],
)
async def test_a_planted_fault_is_failed_by_its_gate_and_by_no_other(
    samples: Mapping[str, Sample],
    connect: Callable[..., Target],
    tmp_path: Path,
    fault: Fault,
    by: set[str],
) -> None:
    found = await judge(samples, fault, connect, tmp_path)
    assert {f.name for f in found.findings if f.verdict == "fail"} == by
    assert found.verdict == "fail"
    # Nor does it keep another gate from passing.
    assert {f.name for f in found.findings if f.verdict == "inconclusive"} == set()
