"""The log: one record, one line, whatever stands in it."""

import errno
import io
import json

from hypothesis import given, strategies as st

from gateway.telemetry.log import JsonLinesSink
from gateway.telemetry.record import RequestFinished

NOON = 1_750_000_000.25


def a_record(*, model: str = "m@v1", reason: str = "STATIC") -> RequestFinished:
    return RequestFinished(
        request_id="req-1",
        tenant="acme",
        surface="assist",
        generator="lora",
        model=model,
        reason=reason,
        outcome="ok",
        verdict="valid",
        mode="free",
        stream=False,
        prompt_tokens=100,
        completion_tokens=40,
        ttft=0.08,
        duration=1.2,
        upstream=1.1995,
        repairs=("fence",),
    )


class FullDisk(io.RawIOBase):
    """Takes what there is room for, then refuses."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.data = b""

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = data[: self.room]
        self.data += taken
        self.room -= len(taken)
        return len(taken)


def test_a_line_carries_the_record_and_its_time() -> None:
    stream = io.BytesIO()
    JsonLinesSink(stream, clock=lambda: NOON)(a_record())
    line = json.loads(stream.getvalue())
    assert line["at"] == "2025-06-15T15:06:40.250+00:00"
    assert line["event"] == "request"
    assert line["model"] == "m@v1"
    assert line["repairs"] == ["fence"]
    assert "lines_lost" not in line


@given(st.text(st.characters(exclude_categories=())), st.text())
def test_no_text_can_break_a_line_or_reach_a_terminal(model: str, reason: str) -> None:
    stream = io.BytesIO()
    JsonLinesSink(stream, clock=lambda: NOON)(a_record(model=model, reason=reason))
    written = stream.getvalue()
    assert written.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in written[:-1])
    assert json.loads(written)["model"] == model


def test_a_full_disk_loses_lines_and_says_how_many() -> None:
    disk = FullDisk(room=0)
    sink = JsonLinesSink(disk, clock=lambda: NOON)
    sink(a_record())
    sink(a_record())
    assert sink.lost == 2
    disk.room = 10_000
    sink(a_record())
    assert json.loads(disk.data)["lines_lost"] == 2
    assert sink.lost == 0


def test_a_line_cut_by_a_full_disk_does_not_spoil_the_next() -> None:
    disk = FullDisk(room=20)
    sink = JsonLinesSink(disk, clock=lambda: NOON)
    sink(a_record())
    sink(a_record())
    disk.room = 10_000
    sink(a_record())
    torn, whole = disk.data.splitlines()
    assert len(torn) == 20
    assert json.loads(whole)["lines_lost"] == 2


def test_a_stream_that_would_block_loses_the_line() -> None:
    class Busy:
        def write(self, data: bytes, /) -> int | None:
            return None

    sink = JsonLinesSink(Busy(), clock=lambda: NOON)
    sink(a_record())
    assert sink.lost == 1
