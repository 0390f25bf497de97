"""What a gateway keeps of its outputs: of whom, what, and at what cost to a request."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.app import create_app
from gateway.engine.fake import FakeVllm
from gateway.errors import SettingsError
from gateway.keep.files import PATTERN
from structured.kept import Line, Output, read
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
    async with running(configured(opted_in(tmp_path))) as stack:
        await stack.all_ready()
        (tmp_path / "kept").write_text("in the way")
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


def test_a_directory_that_cannot_be_used_stops_the_start(
    configured: Configured, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("in the way")
    with pytest.raises(SettingsError, match="kept is not a directory") as caught:
        create_app(configured(opted_in(tmp_path)))
    assert caught.value.path == "keep.directory"
    create_app(configured(f'[keep]\ndirectory = "{tmp_path}/kept"'))
