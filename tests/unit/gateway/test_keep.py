"""What a gateway keeps of its outputs: of whom, what, and at what cost to a request."""

import asyncio
import errno
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.engine.fake import FakeVllm
from gateway.keep.files import PATTERN, Files
from gateway.keep.keeper import Keeper, Said
from gateway.keep.limits import KeepLimits
from gateway.pipeline.call import Call, ChatMessage, Keep, Sampling, Surface, Tenant
from gateway.pipeline.trace import Attempt, Trace
from structured.kept import Feedback, Line, Output, read
from structured.outcome import Accepted, Rejected
from structured.schema import compile_schema
from tests.stack import running
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import GOOD, saying

FENCED = f"Here it is:\n```json\n{GOOD}\n```"
SECRET = "Write to john@x.com or +49 30 1234567, card 4111 1111 1111 1111."  # noqa: S105 -- nobody's


def lines(where: Path) -> list[Line]:
    """All that is kept, in order."""
    found: list[Line] = []
    for path in sorted(where.glob(PATTERN)):
        got = read(path.read_bytes().splitlines())
        assert not got.torn
        found += got.lines
    return found


def outputs(where: Path) -> list[Output]:
    return [line for line in lines(where) if isinstance(line, Output)]


def opted_in(where: Path, keep: str = "flawed", more: str = "") -> str:
    return (
        f'[tenants.acme]\nkeep = "{keep}"\n[keep]\ndirectory = "{where}/kept"\n{more}\n'
    )


async def test_a_repaired_and_a_refused_output_are_kept_without_what_identifies(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    async with running(configured(opted_in(tmp_path))) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(FENCED.replace("1.7 litres", "mail john@x.com"))
        repaired = await stack.assist(SECRET)
        fake_vllm.quirks = saying("No: john@x.com.")
        refused = await stack.assist(SECRET)
    assert (repaired.status, refused.status) == (200, 502)
    first, second = outputs(tmp_path / "kept")
    assert first.input is not None
    assert first.input.user == "Write to <EMAIL_1> or <PHONE_1>, card <CARD_1>."
    assert first.input.context[0].id == "S1"
    assert first.raw == FENCED.replace("1.7 litres", "mail <EMAIL_1>")
    assert first.repaired == json.loads(GOOD) | {"answer": "mail <EMAIL_1>"}
    assert first.verdict == "repaired"
    assert first.repairs == tuple(repaired.json["repairs"])
    assert first.request_id == repaired.headers["X-Request-Id"]
    assert (first.tenant, first.surface, first.mode) == ("acme", "assist", "free")
    assert (first.generator, first.model) == ("base", "smollm2-135m-instruct@1.0")
    assert first.found == {"EMAIL": 1, "PHONE": 1, "CARD": 1}
    assert (second.verdict, second.refused, second.repaired) == ("invalid", True, None)
    assert second.raw == "No: <EMAIL_1>."
    assert [(a.kind, a.stage, a.code) for a in second.attempts] == [
        ("first", "envelope", "no_json")
    ]
    text = b"".join(path.read_bytes() for path in (tmp_path / "kept").glob(PATTERN))
    for hidden in (b"john@", b"1234567", b"4111", b"tenant-key"):
        assert hidden not in text


async def test_of_a_second_question_the_first_output_and_the_last_are_kept(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    extra = opted_in(tmp_path) + "[surfaces.assist]\nreask = 1"
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying("I would say 1.7 litres.", GOOD)
        await stack.assist()
    (only,) = outputs(tmp_path / "kept")
    assert (only.verdict, only.raw) == ("reasked", "I would say 1.7 litres.")
    assert only.repaired == json.loads(GOOD)
    assert [attempt.kind for attempt in only.attempts] == ["first", "reask"]


async def test_of_a_tenant_that_has_not_opted_in_nothing_is_kept(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    async with running(configured(opted_in(tmp_path))) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(FENCED)
        body = {
            "input": {"context": [{"id": "S1", "text": "1.7 l"}], "user": "How much?"}
        }
        other = await stack.post("/v1/assist", body, key="careful-key")
        assert other.json["verdict"] == "repaired"
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(("keep", "kept"), [("flawed", 0), ("all", 1)])
async def test_a_valid_output_is_kept_only_where_all_are(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path, keep: str, kept: int
) -> None:
    async with running(configured(opted_in(tmp_path, keep))) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(GOOD)
        await stack.assist()
    assert len(lines(tmp_path / "kept")) == kept


async def test_a_checked_chat_is_kept_with_its_messages(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    async with running(configured(opted_in(tmp_path))) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(FENCED)
        parts = [{"type": "text", "text": SECRET}]
        said = [{"role": "user", "content": parts}]
        await stack.chat(model="assist", messages=said, stream=True)
        await stack.chat()
    (only,) = outputs(tmp_path / "kept")
    text = "Write to <EMAIL_1> or <PHONE_1>, card <CARD_1>."
    assert only.messages == [
        {"role": "user", "content": [{"type": "text", "text": text}]}
    ]
    assert only.input is None


async def test_a_live_stream_that_fails_is_kept(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    extra = opted_in(tmp_path) + '[surfaces.assist]\nstream = "live"'
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying('{"status":"never","answer":"x","citations":[]}')
        await stack.assist(stream=True)
    (only,) = outputs(tmp_path / "kept")
    assert only.verdict == "invalid"


async def test_a_request_that_is_too_long_is_counted_and_not_kept(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    extra = opted_in(tmp_path, more="record_bytes = 1024")
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(FENCED)
        assert (await stack.assist("x" * 1024)).status == 200
        told = (await stack.admin("GET", "/metrics")).body.decode()
    assert 'wastegate_kept_total{outcome="too_large"} 1.0' in told
    assert not (tmp_path / "kept").exists()


async def test_where_nobody_has_opted_in_there_is_nothing_to_keep_with(
    configured: Configured, tmp_path: Path
) -> None:
    async with running(configured()) as stack:
        told = (await stack.admin("GET", "/metrics")).body.decode()
    assert "wastegate_kept_total" not in told


async def test_a_disk_that_fails_costs_no_answer_and_is_told(
    configured: Configured,
    fake_vllm: FakeVllm,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "kept").write_text("in the way")
    async with running(configured(opted_in(tmp_path))) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(FENCED)
        for _ in range(3):
            assert (await stack.assist()).json["verdict"] == "repaired"
        async with asyncio.timeout(5):
            while (
                'kept_total{outcome="failed"} 3.0'
                not in (await stack.admin("GET", "/metrics")).body.decode()
            ):
                await asyncio.sleep(0.01)
        (tmp_path / "kept").unlink()
        assert (await stack.assist()).status == 200
    assert len(outputs(tmp_path / "kept")) == 1
    said = [record.getMessage() for record in caplog.records]
    assert len([each for each in said if "cannot be kept" in each]) == 1
    assert len([each for each in said if "kept again" in each]) == 1
    assert not [each for each in said if "litres" in each]


# The keeper by itself, with a disk that does as it is told.


class Counts:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.rated: list[Feedback] = []

    def kept(self, outcome: str, lines: int = 1) -> None:
        self.outcomes[outcome] += lines

    def feedback(self, feedback: Feedback) -> None:
        self.rated.append(feedback)


SCHEMA = compile_schema(b'{"type":"object"}', name="any")


def over(
    request_id: str = "r1",
    *,
    tenant: str = "acme",
    keep: Keep = "flawed",
    raw: bytes = b"x",
    user: str = "?",
) -> Trace:
    """The trace of a request whose output was refused."""
    trace = Trace(request_id)
    trace.tenant, trace.surface = tenant, "assist"
    trace.generator, trace.model = "base", "base@1"
    trace.call = Call(
        request_id=request_id,
        tenant=Tenant(tenant, frozenset({"assist"}), "none", "salt", keep=keep),
        surface=Surface("assist", SCHEMA),
        messages=(ChatMessage("user", user),),
        sampling=Sampling(max_tokens=1),
        unit=None,
        schema=SCHEMA,
    )
    refused = Rejected("envelope", "no_json", "", "no JSON")
    trace.attempts.append(Attempt("first", raw, refused))
    trace.verdict = "invalid"
    return trace


def valid(request_id: str = "r1") -> Trace:
    trace = over(request_id)
    trace.attempts = [Attempt("first", b"{}", Accepted(b"{}", {}))]
    trace.verdict = "valid"
    return trace


def keeper(
    where: Path, write: Callable[[int, bytes], int] = os.write, **limits: Any
) -> tuple[Keeper, Counts]:
    given = KeepLimits(directory=str(where), **limits)
    counts = Counts()
    files = Files(given, now=lambda: 1e9, write=write)
    return Keeper(given, files, counts, now=lambda: 1e9), counts


async def test_a_full_queue_drops_what_comes_and_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    disk = threading.Event()

    def slow(file: int, data: bytes) -> int:
        disk.wait(10)
        return os.write(file, data)

    made, counts = keeper(tmp_path, slow, queue=2)
    async with made.running():
        for number in range(9):
            made.finished(over(f"r{number}"), 10)
        assert counts.outcomes["dropped"] == 7
        disk.set()
    assert counts.outcomes == {"dropped": 7, "kept": 2}
    assert [each.request_id for each in outputs(tmp_path)] == ["r0", "r1"]


async def test_the_end_of_the_program_writes_what_is_left(tmp_path: Path) -> None:
    made, counts = keeper(tmp_path)
    async with made.running():
        for number in range(100):
            made.finished(over(f"r{number}"), 10)
    assert counts.outcomes == {"kept": 100}
    assert len(outputs(tmp_path)) == 100


async def test_a_full_disk_is_counted_and_over_once_there_is_room(
    tmp_path: Path,
) -> None:
    full = True

    def write(file: int, data: bytes) -> int:
        if full:
            raise OSError(errno.ENOSPC, "no space left")
        return os.write(file, data)

    made, counts = keeper(tmp_path, write)
    async with made.running():
        made.finished(over("r1"), 10)
        async with asyncio.timeout(5):
            while not counts.outcomes["failed"]:
                await asyncio.sleep(0.001)
        full = False
        made.finished(over("r2"), 10)
    assert counts.outcomes == {"failed": 1, "kept": 1}
    assert [each.request_id for each in outputs(tmp_path)] == ["r2"]


async def test_what_cannot_be_scrubbed_is_counted_and_not_kept(tmp_path: Path) -> None:
    made, counts = keeper(tmp_path)
    trace = over(keep="all")
    twins = {"a@b.co": 1, "A@b.co": 2}
    trace.attempts = [Attempt("first", b"{}", Accepted(b"{}", twins))]
    async with made.running():
        made.finished(trace, 10)
    assert counts.outcomes == {"unscrubbed": 1}
    assert not lines(tmp_path)


async def test_bytes_that_are_no_text_are_kept_as_what_can_be_written(
    tmp_path: Path,
) -> None:
    made, counts = keeper(tmp_path)
    async with made.running():
        made.finished(over(raw=b"\xff\xfe a"), 10)
    assert counts.outcomes == {"kept": 1}
    assert outputs(tmp_path)[0].raw == "\ufffd\ufffd a"


async def test_feedback_on_a_valid_output_keeps_the_output_once(
    tmp_path: Path,
) -> None:
    made, counts = keeper(tmp_path)
    async with made.running():
        made.finished(valid(), 10)
        seen = made.seen("acme", "r1")
        assert seen is not None
        made.feedback(seen, Said("up"))
        made.feedback(seen, Said("down", "no: a@b.co"))
    output, first, second = lines(tmp_path)
    assert isinstance(output, Output)
    assert isinstance(first, Feedback)
    assert isinstance(second, Feedback)
    assert output.id == first.of == second.of
    assert (second.rating, second.comment) == ("down", "no: <EMAIL_1>")
    assert [each.rating for each in counts.rated] == ["up", "down"]


async def test_a_correction_has_the_placeholders_of_its_prompt(tmp_path: Path) -> None:
    made, _ = keeper(tmp_path)
    async with made.running():
        made.finished(over(user="a@b.co, c@d.co"), 10)
        seen = made.seen("acme", "r1")
        assert seen is not None
        made.feedback(seen, Said("down", None, {"to": "c@d.co"}))
    _, given = lines(tmp_path)
    assert isinstance(given, Feedback)
    assert given.correction == {"to": "<EMAIL_2>"}


async def test_feedback_that_the_queue_does_not_take_says_so(tmp_path: Path) -> None:
    made, counts = keeper(tmp_path, queue=1)
    made.finished(over(), 10)
    seen = made.seen("acme", "r1")
    assert seen is not None
    assert made.feedback(seen, Said("up")) is None
    assert counts.outcomes == {"dropped": 1}
    assert not counts.rated


def test_requests_of_one_tenant_push_out_none_of_another(tmp_path: Path) -> None:
    made, _ = keeper(tmp_path, feedback_requests=2, queue=1)
    made.finished(over("mine"), 10)
    for number in range(9):
        made.finished(over(f"r{number}", tenant="noisy"), 10)
    assert made.seen("acme", "mine") is not None
    assert made.seen("noisy", "mine") is None
    kept = [n for n in range(9) if made.seen("noisy", f"r{n}") is not None]
    assert kept == [7, 8]


def test_the_text_that_is_held_for_feedback_is_bounded(tmp_path: Path) -> None:
    made, _ = keeper(tmp_path, feedback_bytes=1000, queue=1)
    for number in range(9):
        made.finished(over(f"r{number}", raw=b"x" * 290), 10)
    kept = [n for n in range(9) if made.seen("acme", f"r{n}") is not None]
    assert kept == [6, 7, 8]


def test_an_old_request_takes_no_feedback_and_is_let_go(tmp_path: Path) -> None:
    now = [1e9]
    limits = KeepLimits(directory=str(tmp_path), feedback_seconds=60)
    made = Keeper(
        limits, Files(limits, now=lambda: now[0]), Counts(), now=lambda: now[0]
    )
    made.finished(over(), 10)
    now[0] += 60
    assert made.seen("acme", "r1") is not None
    now[0] += 1
    assert made.seen("acme", "r1") is None
