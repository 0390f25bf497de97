"""`POST /v1/feedback`: who may say what of which answer."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.engine.fake import FakeVllm
from structured.kept import Feedback, Output
from tests.stack import ADMIN_KEY, READ_KEY, Reply, Stack, running
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import GOOD, saying
from tests.unit.gateway.test_keep import lines

FEEDBACK = "/v1/feedback"
BOTH = """
[tenants.acme]
keep = "flawed"
[tenants.careful]
keep = "all"
"""


@pytest.fixture
async def stack(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> AsyncIterator[Stack]:
    """A gateway that keeps what both its tenants get, and answers well."""
    extra = f'{BOTH}[keep]\ndirectory = "{tmp_path}/kept"'
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(GOOD)
        yield stack


async def rate(stack: Stack, request_id: str, **fields: Any) -> Reply:
    body = {"request_id": request_id, "rating": "down"} | fields
    return await stack.post(FEEDBACK, body)


async def test_feedback_is_kept_with_the_output_that_it_speaks_of(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    right = json.loads(GOOD) | {"answer": "1.7 l, says john@x.com"}
    extra = f'{BOTH}[keep]\ndirectory = "{tmp_path}/kept"'
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(GOOD)
        answer = await stack.assist()
        name = answer.headers["X-Request-Id"]
        reply = await rate(stack, name, comment="Ask a@b.co.", correction=right)
        told = (await stack.admin("GET", "/metrics")).body.decode()
    assert reply.status == 202
    output, given = lines(tmp_path / "kept")
    assert isinstance(output, Output)
    assert isinstance(given, Feedback)
    assert reply.json == {"id": given.id}
    assert (given.of, given.request_id) == (output.id, name)
    assert (given.rating, given.comment) == ("down", "Ask <EMAIL_1>.")
    assert given.correction == right | {"answer": "1.7 l, says <EMAIL_2>"}
    assert (
        'wastegate_feedback_total{generator="base",model="smollm2-135m-instruct@1.0"'
        ',rating="down",surface="assist",tenant="acme"} 1.0'
    ) in told


async def test_a_refused_answer_and_an_unchecked_chat_take_feedback_too(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    chat = await stack.chat()
    fake_vllm.quirks = saying("prose")
    refused = await stack.assist()
    assert refused.status == 502
    for reply in (chat, refused):
        assert (await rate(stack, reply.headers["X-Request-Id"])).status == 202


@pytest.mark.parametrize("key", ["", "wrong", ADMIN_KEY, READ_KEY])
async def test_a_key_that_is_not_a_tenants_opens_nothing(
    stack: Stack, key: str
) -> None:
    body = {"request_id": "r", "rating": "up"}
    reply = await stack.post(FEEDBACK, body, key=key)
    assert (reply.status, reply.code) == (401, "invalid_key")


async def test_a_tenant_that_keeps_nothing_is_told_what_to_set(
    configured: Configured,
) -> None:
    body = {"request_id": "r", "rating": "up"}
    async with running(configured()) as stack:
        nobody = await stack.post(FEEDBACK, body)
    async with running(configured('[tenants.careful]\nkeep = "all"')) as stack:
        other = await stack.post(FEEDBACK, body)
    for reply in (nobody, other):
        assert (reply.status, reply.code) == (403, "not_allowed")
        assert "[tenants.acme]" in reply.json["error"]["message"]


async def test_nobody_speaks_of_the_request_of_another(
    stack: Stack, tmp_path: Path
) -> None:
    mine = (await stack.assist()).headers["X-Request-Id"]
    body = {"request_id": mine, "rating": "up"}
    other = await stack.post(FEEDBACK, body, key="careful-key")
    unknown = await stack.post(FEEDBACK, body | {"request_id": "none"})
    for reply in (other, unknown):
        assert (reply.status, reply.code) == (404, "not_found")
        assert reply.json["error"]["param"] == "request_id"
    assert other.json["error"]["message"] == unknown.json["error"]["message"]


async def test_an_id_that_two_tenants_chose_means_each_their_own(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    extra = f'{BOTH}[keep]\ndirectory = "{tmp_path}/kept"'
    body = {"input": {"context": [{"id": "S1", "text": "1.7 l"}], "user": "?"}}
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(GOOD)
        for key in ("tenant-key", "careful-key"):
            await stack.post("/v1/assist", body, key=key, X_Request_Id="same")
        assert (await rate(stack, "same")).status == 202
    given = [line for line in lines(tmp_path / "kept") if isinstance(line, Feedback)]
    assert [each.tenant for each in given] == ["acme"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"rating": "up"}',
        b'{"request_id": "", "rating": "up"}',
        b'{"request_id": "r"}',
        b'{"request_id": "r", "rating": "sideways"}',
        b'{"request_id": "r", "rating": 1}',
        b'{"request_id": "r", "rating": NaN}',
        b'{"request_id": "r", "rating": "up", "comment": "\\ud800"}',
        b'{"request_id": "\\ud800", "rating": "up"}',
        b'{"request_id": "r", "rating": "up", "correction": "\\ud800"}',
        b'{"request_id": "r", "rating": "up", "comment": ""}',
        b'{"request_id": "r", "rating": "up", "comment": "' + b"x" * 2001 + b'"}',
        b'{"request_id": "r", "rating": "up", "colour": "red"}',
        b'{"request_id": "' + b"r" * 65 + b'", "rating": "up"}',
        b"[" * 100_000,
        b'{"correction":' * 5_000,
        b"\xff",
    ],
)
async def test_a_body_that_is_no_feedback_is_refused(stack: Stack, body: bytes) -> None:
    reply = await stack.post(FEEDBACK, body)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert b"Traceback" not in reply.body


async def test_two_megabytes_are_too_large(stack: Stack) -> None:
    reply = await stack.post(FEEDBACK, b"x" * 2_000_000)
    assert (reply.status, reply.code) == (413, "too_large")


@pytest.mark.parametrize(
    ("correction", "path"),
    [
        (b'{"status":"ok","answer":"x","citations":["S9"]}', "/citations/0"),
        (b'{"status":"fine","answer":"x","citations":[]}', "/status"),
        (b'{"status":"ok","answer":7,"citations":[]}', "/answer"),
        (b'{"status":"ok","answer":"x"}', ""),
        (b'"text"', ""),
        (b'{"status":"ok","status":"ok","answer":"x","citations":[]}', ""),
        (b"1e999", ""),
        (b"[" * 300 + b"]" * 300, ""),
    ],
)
async def test_a_correction_that_does_not_fit_is_refused_with_its_path(
    stack: Stack, correction: bytes, path: str
) -> None:
    name = (await stack.assist()).headers["X-Request-Id"].encode()
    body = (
        b'{"request_id":"%s","rating":"down","correction":' % name + correction + b"}"
    )
    reply = await stack.post(FEEDBACK, body)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert reply.json["error"]["param"] == "correction"
    assert reply.json["error"]["path"] == path


async def test_a_correction_of_what_was_not_checked_is_refused(stack: Stack) -> None:
    name = (await stack.chat()).headers["X-Request-Id"]
    reply = await rate(stack, name, correction={"a": 1})
    assert reply.json["error"]["param"] == "correction"
    assert (await rate(stack, name, correction=None)).status == 202


async def test_a_correction_over_the_limit_of_a_record_is_too_large(
    stack: Stack,
) -> None:
    name = (await stack.assist()).headers["X-Request-Id"]
    reply = await rate(stack, name, correction={"answer": "x" * 70_000})
    assert (reply.status, reply.code) == (413, "too_large")
