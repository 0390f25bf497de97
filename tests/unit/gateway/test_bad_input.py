"""Bad input is a typed 4xx that says what would be right: never a 500, no traceback."""

import asyncio
import json
from typing import Any

import pytest

from tests.stack import ADMIN_KEY, READ_KEY, Stack, running
from tests.unit.gateway.conftest import Configured

CHAT, ASSIST = "/v1/chat/completions", "/v1/assist"
MESSAGE: dict[str, Any] = {"role": "user", "content": "?"}


@pytest.mark.parametrize("path", [CHAT, ASSIST])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"input": {"user": "\\ud800"}}',
        b'{"input": {"user": "?"}, "temperature": NaN}',
        b'{"model": "auto", "messages": [], "temperature": 1e999}',
        b'{"model": "auto\xff"}',
        b"\x00\x01\x02",
        b"[" * 100_000,
        b'{"input":' * 5_000,
        b'{"model": 7, "messages": "no"}',
    ],
)
async def test_a_body_that_is_not_a_request_is_refused(
    stack: Stack, path: str, body: bytes
) -> None:
    reply = await stack.post(path, body)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert b"Traceback" not in reply.body


@pytest.mark.parametrize("path", [CHAT, ASSIST])
async def test_two_megabytes_are_too_large(stack: Stack, path: str) -> None:
    reply = await stack.post(path, b"x" * 2_000_000)
    assert (reply.status, reply.code) == (413, "too_large")


async def test_two_megabytes_in_chunks_are_too_large(stack: Stack) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    auth = {"authorization": "Bearer tenant-key"}
    async with stack.http.post(stack.url + CHAT, headers=auth, data=chunks()) as answer:
        assert answer.status == 413


@pytest.mark.parametrize("path", [CHAT, ASSIST])
@pytest.mark.parametrize("key", ["", "wrong", ADMIN_KEY, READ_KEY, "tenant-key\xe9"])
async def test_a_key_that_is_not_the_tenants_opens_nothing(
    stack: Stack, path: str, key: str
) -> None:
    reply = await stack.post(path, {"model": "auto", "messages": [MESSAGE]}, key=key)
    assert (reply.status, reply.code) == (401, "invalid_key")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_an_unknown_model_is_a_404_that_lists_the_known(stack: Stack) -> None:
    reply = await stack.chat(model="acme-behav-lora@v1")
    assert (reply.status, reply.code) == (404, "unknown_model")
    assert "auto, assist, email" in reply.json["error"]["message"]


async def test_a_surface_of_somebody_else_is_not_allowed(stack: Stack) -> None:
    body = {"input": {"user": "?"}, "surface": "payroll"}
    reply = await stack.post(ASSIST, body)
    assert (reply.status, reply.code) == (403, "not_allowed")
    other = {"model": "email", "messages": [MESSAGE]}
    assert (await stack.post(CHAT, other, key="careful-key")).code == "unknown_model"


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/admin/v1/flags/GENERATOR"])
async def test_what_is_not_on_the_data_plane_is_a_typed_404(
    stack: Stack, path: str
) -> None:
    reply = await stack.get(path)
    assert (reply.status, reply.code) == (404, "not_found")


async def test_a_wrong_method_is_a_typed_405(stack: Stack) -> None:
    assert (await stack.get(CHAT)).code == "method_not_allowed"


async def test_each_answer_has_a_request_id_and_a_harmless_one_is_kept(
    stack: Stack,
) -> None:
    body = {"model": "none", "messages": [MESSAGE]}
    kept = await stack.post(CHAT, body, X_Request_Id="trace-1")
    assert kept.headers["X-Request-Id"] == kept.json["error"]["request_id"] == "trace-1"
    replaced = await stack.post(CHAT, body, X_Request_Id="a b;<script>")
    assert replaced.headers["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "adapters", {"ref": "../../etc/passwd"}, 404),
        ("POST", "adapters", {"ref": "/etc/passwd"}, 404),
        ("POST", "adapters", {"ref": "nobody@v1"}, 404),
        ("POST", "adapters", {"ref": 7}, 400),
        ("POST", "adapters", {"ref": "a@v1", "load_inplace": True}, 400),
        ("DELETE", "adapters/..%2F..%2Fetc", None, 404),
        ("GET", "adapters/nobody@v1/card", None, 404),
        ("PUT", "bindings/lora", {"ref": "nobody@v1"}, 404),
        ("PUT", "bindings/base", {"ref": "nobody@v1"}, 400),
        ("POST", "kill", {"scope": "planet"}, 400),
        ("POST", "kill", {"scope": "global", "name": "x"}, 400),
        ("POST", "kill", {"scope": "variant", "name": "base"}, 400),
        ("PUT", "overrides/acme", {"variant": "turbo"}, 400),
        ("PUT", "overrides/a%2Fb", {"variant": "lora"}, 404),
        ("PUT", "flags/GENERATOR", {"lora": 1}, 428),
        ("GET", "resolve", None, 400),
        ("GET", "audit?limit=0", None, 400),
        ("GET", "nothing", None, 404),
    ],
)
async def test_the_control_plane_refuses_with_a_typed_error(
    stack: Stack, method: str, path: str, body: Any, status: int
) -> None:
    reply = await stack.admin(method, path, body)
    assert reply.status == status
    assert reply.json["error"]["message"]


@pytest.mark.parametrize(
    "body", [b'{"scope": "tenant", "name": "\\ud800"}', b"NaN", b"\xff", b"[" * 9_999]
)
async def test_the_control_plane_survives_what_breaks_its_framework(
    stack: Stack, body: bytes
) -> None:
    headers = {
        "authorization": f"Bearer {ADMIN_KEY}",
        "content-type": "application/json",
    }
    url = f"{stack.admin_url}/admin/v1/kill"
    async with stack.http.post(url, headers=headers, data=body) as answer:
        assert answer.status == 400
        assert json.loads(await answer.read())["error"]["code"] == "invalid_request"


async def test_silent_and_endless_connections_are_closed(
    configured: Configured,
) -> None:
    async with running(configured("[limits]\nheader_seconds = 0.2")) as stack:
        host, port = stack.url.removeprefix("http://").split(":")
        for sent in (b"", b"POST /v1/assist HTTP/1.1\r\nHost: x\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
        endless = b"GET /healthz HTTP/1.1\r\n" + b"X-A: b\r\n" * 10_000
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(endless)
        async with asyncio.timeout(5):
            assert b"200" not in await reader.read()
        writer.close()


async def test_a_body_that_never_comes_is_given_up(configured: Configured) -> None:
    async with running(configured("[limits]\nbody_seconds = 0.2")) as stack:
        host, port = stack.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "POST /v1/assist HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n"
        writer.write(f"{head}Authorization: Bearer tenant-key\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert b"invalid_request" in await reader.read(4096)
        writer.close()
