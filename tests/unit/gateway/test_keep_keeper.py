"""The keeper by itself, with a disk that does as it is told."""

import asyncio
import errno
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.keep.files import Files
from gateway.keep.keeper import Keeper, Said
from gateway.keep.limits import KeepLimits
from gateway.pipeline.call import Call, ChatMessage, Keep, Sampling, Surface, Tenant
from gateway.pipeline.trace import Attempt, Trace
from structured.kept import Feedback, Output
from structured.outcome import Accepted, Rejected
from structured.schema import compile_schema
from tests.unit.gateway.test_keep import lines, outputs


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


async def test_feedback_brings_the_output_that_the_disk_did_not_take(
    tmp_path: Path,
) -> None:
    fails = iter([True])

    def write(file: int, data: bytes) -> int:
        if next(fails, False):
            raise OSError(errno.ENOSPC, "no space left")
        return os.write(file, data)

    made, counts = keeper(tmp_path, write)
    async with made.running():
        made.finished(over(), 10)
        seen = made.seen("acme", "r1")
        assert seen is not None
        made.feedback(seen, Said("down"))
        made.feedback(seen, Said("up"))
    assert counts.outcomes == {"failed": 1, "kept": 3}
    output, first, second = lines(tmp_path)
    assert isinstance(output, Output)
    assert isinstance(first, Feedback)
    assert isinstance(second, Feedback)
    assert output.id == first.of == second.of


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
