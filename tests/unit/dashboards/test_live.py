"""A real Prometheus scrapes a real exposition and is asked what the panels ask."""

import http.client
import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import urlencode

import pytest

from dashboards.build import Site, files, write
from dashboards.grafana import dashboard
from evals import exposition
from gateway.telemetry.exposition import new_registry, render
from gateway.telemetry.prometheus import PrometheusSink
from gateway.telemetry.record import RequestFinished
from gateway.telemetry.shadow import ShadowCounter
from gateway.telemetry.state import RolloutSeen, StateGauges
from tests.unit.dashboards.watched import looked

DEADLINE = 60.0
"""Seconds; it takes about five, and the machine may be busy."""
ENGINE = b"""\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="base"} 1
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="base"} 0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="base"} 0.5
"""
ANSWER = RequestFinished(
    request_id="r",
    tenant="acme",
    surface="assist",
    generator="lora",
    model="m@v1",
    reason="STATIC; rule=unit_missing; version=1",
    outcome="ok",
    verdict="repaired",
    mode="free",
    stream=False,
    prompt_tokens=100,
    completion_tokens=40,
    ttft=0.1,
    duration=1.0,
    upstream=0.9995,
    repairs=("fence",),
)

ROLLOUT = RolloutSeen(
    "ro-1", "m@v1", "canary", 500, {"errors": {"harm": 0.1, "good": 0.2, "change": 0.0}}
)


def gateway_under_load() -> Callable[[], bytes]:
    """An exposition that has counted ten more requests at each scrape."""
    registry = new_registry()
    sink = PrometheusSink(
        registry, tenants=["acme"], surfaces=["assist"], models=["m@v1"]
    )
    gauges = StateGauges(registry, states=["READY", "ABSENT"])
    gauges.adapter("http://127.0.0.1:8000", "m@v1", "READY")
    gauges.replica("http://127.0.0.1:8000", up=True)
    gauges.bindings({"lora": "m@v1"})
    gauges.flag(1, default="base", lora=500, lora_pref=0)
    gauges.rollout(ROLLOUT)
    ShadowCounter(registry)("scored")
    gauges.store(up=True)

    def scrape() -> bytes:
        for _ in range(10):
            sink(ANSWER)
        return render(registry)[0]

    return scrape


def serve(scrape: Callable[[], bytes]) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = scrape()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return cast("int", taken.getsockname()[1])


class Prometheus:
    """The server's HTTP API."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, **query: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(query)}")
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def result(self, expr: str) -> list[Any]:
        answer = self.get("query", query=expr)
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def ready(self) -> bool:
        try:
            return self.get("query", query="1")["status"] == "success"
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return False


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not in {DEADLINE:g} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    assert program, "prometheus is missing: install the Debian package prometheus"
    gateway, engine = serve(gateway_under_load()), serve(lambda: ENGINE)
    seen = exposition.text(looked(1_800_000_000)).encode()
    watch = serve(lambda: seen)
    out = tmp_path_factory.mktemp("prometheus")
    site = Site(
        gateways=(f"127.0.0.1:{gateway.server_port}",),
        engines=(f"127.0.0.1:{engine.server_port}",),
        watches=(f"127.0.0.1:{watch.server_port}",),
    )
    texts = files(site)
    name = "prometheus/prometheus.yml"
    texts[name] = re.sub(r"\b\d+s\b", "1s", texts[name])  # intervals and time-outs
    write(texts, out)
    port = a_free_port()
    log = (out / "log").open("wb")
    process = subprocess.Popen(  # noqa: S603  a program found on PATH, our own files
        [
            program,
            f"--config.file={out / name}",
            f"--storage.tsdb.path={out / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log,
        stderr=log,
    )
    try:
        server = Prometheus(port)
        until(
            lambda: server.ready() or process.poll() is not None, "Prometheus answers"
        )
        assert process.poll() is None, (out / "log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(DEADLINE)
        log.close()
        for each in (gateway, engine, watch):
            each.shutdown()
            each.server_close()


def queries() -> list[str]:
    found = cast("list[dict[str, Any]]", dashboard()["panels"])
    exprs = [target["expr"] for panel in found for target in panel.get("targets", [])]
    return [
        expr.replace("$__rate_interval", "1m")
        .replace("$surface", ".*")
        .replace("$tenant", ".*")
        for expr in exprs
    ]


def test_all_targets_are_up(prometheus: Prometheus) -> None:
    until(lambda: len(prometheus.result("up == 1")) == 3, "three targets are up")


@pytest.mark.parametrize("expr", queries())
def test_a_panel_has_data(expr: str, prometheus: Prometheus) -> None:
    until(lambda: prometheus.result(expr), f"data for {expr}")


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    def rules() -> list[Any]:
        groups = prometheus.get("rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "evaluation")
    assert [rule["name"] for rule in rules() if rule["health"] != "ok"] == []
