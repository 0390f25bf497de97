"""What is measured: a mock upstream, nginx before it, the gateway before it."""

import contextlib
import hashlib
import http.client
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import msgspec

from bench import payloads
from bench.errors import BenchError
from bench.load import Target
from bench.processes import ROOT, Launch, Running, free_ports, run, started

KEY: Final = "wg-bench"
SERVE: Final = (sys.executable, "-m", "gateway", "serve")
READY_SECONDS: Final = 60.0

NGINX: Final = """\
daemon off;
master_process off;
worker_processes 1;
pid {home}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {home}/nginx-body;
  proxy_temp_path {home}/nginx-proxy;
  fastcgi_temp_path {home}/nginx-fastcgi;
  uwsgi_temp_path {home}/nginx-uwsgi;
  scgi_temp_path {home}/nginx-scgi;
  keepalive_requests 1000000000;
  upstream mock {{
    server 127.0.0.1:{mock};
    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""

GATEWAY: Final = """\
[gateway]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
state = "sqlite:{home}/state.db"
[admin]
key_sha256 = ["bench={admin_sha}"]
[engine]
replicas = ["http://127.0.0.1:{mock}"]
[registry]
path = "{home}/adapters"
base_path = "{home}/models"
[surfaces.assist]
schema = "{schema}"
[tenants.bench]
key_sha256 = ["{key_sha}"]
surfaces = ["assist"]
"""


class Cores(msgspec.Struct, frozen=True):
    """Who runs where: the measured program alone, all others together."""

    measured: int
    others: int


class Row(msgspec.Struct, frozen=True):
    """A line of the table."""

    target: Target
    server: Running
    """Whose CPU time is counted."""
    baseline: str
    """Name of the row that is subtracted; its own for a direct call."""


@contextlib.contextmanager
def up(
    tools: dict[str, str],
    cores: Cores,
    home: Path,
    serve: tuple[str, ...] = SERVE,
) -> Generator[tuple[Row, ...]]:
    """Start everything, see that each answers rightly, stop everything.

    Args:
        tools: paths of programs by name, from `bench.tools.find`.
        cores: what runs where.
        home: a directory for configurations, state and logs.
        serve: the command of the gateway; `--config FILE` is added to it.
    """
    mock_port, nginx_port, port, admin = free_ports(4)
    config = _configuration(home, mock_port, port, admin)
    launches = (
        _mock(tools["cc"], cores.others, mock_port, home),
        _nginx(tools["nginx"], cores.measured, nginx_port, mock_port, home),
        Launch(
            "gateway",
            (*serve, "--config", str(config)),
            cores.measured,
            port,
            home / "gateway.log",
        ),
    )
    with contextlib.ExitStack() as stack:
        mock, nginx, gateway = (
            stack.enter_context(started(launch, READY_SECONDS)) for launch in launches
        )
        _ready(gateway)
        rows = _rows(mock, nginx, gateway)
        for row in rows:
            _answers(row)
        yield rows


def _configuration(home: Path, mock: int, port: int, admin: int) -> Path:
    file = home / "wastegate.toml"
    file.write_text(
        GATEWAY.format(
            port=port,
            admin=admin,
            mock=mock,
            home=home,
            schema=ROOT / "schemas/assist.json",
            key_sha=hashlib.sha256(KEY.encode()).hexdigest(),
            admin_sha=hashlib.sha256(b"wg-bench-admin").hexdigest(),
        )
    )
    return file


def _rows(mock: Running, nginx: Running, gateway: Running) -> tuple[Row, ...]:
    def target(name: str, server: Running, path: str, body: bytes) -> Target:
        return Target(name, f"http://127.0.0.1:{server.launch.port}{path}", body, KEY)

    chats, streams = payloads.chat(), payloads.chat(stream=True)
    chat, assist = "/v1/chat/completions", "/v1/assist"
    return (
        Row(target("direct", mock, chat, chats), mock, "direct"),
        Row(target("nginx", nginx, chat, chats), nginx, "direct"),
        Row(target("gateway chat", gateway, chat, chats), gateway, "direct"),
        Row(target("direct stream", mock, chat, streams), mock, "direct stream"),
        Row(
            target("gateway assist", gateway, assist, payloads.assist()),
            gateway,
            "direct stream",
        ),
    )


def _mock(compiler: str, core: int, port: int, home: Path) -> Launch:
    binary, reply, stream = home / "mock_upstream", home / "reply", home / "stream"
    source = str(ROOT / "bench/mock_upstream.c")
    run((compiler, "-O2", "-Wall", "-Wextra", "-o", str(binary), source), core, 60.0)
    reply.write_bytes(payloads.reply())
    stream.write_bytes(payloads.stream())
    arguments = (str(binary), str(port), str(reply), str(stream))
    return Launch("mock upstream", arguments, core, port, home / "mock.log")


def _nginx(program: str, core: int, port: int, mock: int, home: Path) -> Launch:
    config = home / "nginx.conf"
    config.write_text(NGINX.format(port=port, mock=mock, home=home))
    arguments = (program, "-p", str(home), "-e", "stderr", "-c", str(config))
    return Launch("nginx", arguments, core, port, home / "nginx.log")


def _ready(gateway: Running) -> None:
    end = time.monotonic() + READY_SECONDS
    status, body = 0, b""
    while time.monotonic() < end:
        gateway.check()
        status, body = _ask(gateway.launch.port, "GET", "/readyz", b"", "")
        if status == http.HTTPStatus.OK:
            return
        time.sleep(0.1)
    raise BenchError(
        f"/readyz says {status} after {READY_SECONDS:.0f} s: {body[:500]!r}"
    )


def _answers(row: Row) -> None:
    """One question each: a benchmark of error messages would look splendid."""
    target = row.target
    path = target.url.partition("//")[2].partition("/")[2]
    status, body = _ask(
        row.server.launch.port, "POST", f"/{path}", target.body, target.key
    )
    expected = b'"valid"' if path.endswith("assist") else b'"chat.completion'
    if status != http.HTTPStatus.OK or expected not in body:
        raise BenchError(f"{target.name} answers {status}: {body[:500]!r}")


def _ask(port: int, method: str, path: str, body: bytes, key: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error).encode()
    finally:
        connection.close()
