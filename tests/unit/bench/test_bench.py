"""The benchmark's machinery: payloads, wrk's output, medians, the mock, the stack."""

import http.client
import os
import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from bench import micro, overhead, payloads, report, stack, tools
from bench.errors import BenchError
from bench.load import Generator as Load, Sample, Target, parse
from bench.overhead import Measured
from bench.processes import Launch, Running, free_ports, run, started
from bench.stack import Cores, Row
from structured.check import check
from structured.outcome import Accepted
from structured.schema import compile_schema

CORE = min(os.sched_getaffinity(0))
needs_cc = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


def test_questions_are_560_bytes() -> None:
    assert len(payloads.chat()) == len(payloads.assist()) == 560
    assert len(payloads.chat(stream=True)) == 560


def test_answers_are_500_bytes() -> None:
    assert len(payloads.reply().partition(b"\r\n\r\n")[2]) == 500


def test_the_streamed_answer_is_valid_so_that_no_repair_is_measured() -> None:
    source = (stack.ROOT / "schemas/assist.json").read_bytes()
    outcome = check(
        payloads.ANSWER.encode(),
        compile_schema(source, name="assist"),
        context_ids=frozenset({"kb-1"}),
        finish_reason="stop",
        repair=False,
    )
    assert isinstance(outcome, Accepted)


def test_wrks_result_is_read() -> None:
    sample = parse("direct", "Running 5s test\nRESULT 5000 2000000 0 21 34\n")
    assert sample == Sample(5000, 2e6, 21, 34)
    assert sample.per_second == 2500


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("RESULT 100 2000000 3 21 34\n", "3 errors in 100"),
        ("RESULT 0 2000000 0 0 0\n", "0 errors in 0"),
        ("unable to connect", "no result"),
    ],
)
def test_a_measurement_with_errors_is_none(output: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parse("direct", output)


def test_missing_tools_are_named_with_their_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(tools, "SEARCH", "/nonexistent")
    with pytest.raises(BenchError, match=r"wrk.*apt-get install .*nginx-light"):
        tools.find()


def test_what_is_added_is_the_difference_within_a_round(idle: Running) -> None:
    def row(name: str) -> Row:
        return Row(Target(name, "http://127.0.0.1:1/", b"", "k"), idle, "direct")

    def measured(p50: float, requests: int) -> Measured:
        one = Sample(100, 1e6, p50, 2 * p50)
        return Measured(one, Sample(requests, 1e6, p50, p50), 10.0)

    # The second round ran on a machine half as fast: differences still agree.
    done = [
        {"direct": measured(20, 1000), "gateway": measured(320, 100)},
        {"direct": measured(40, 500), "gateway": measured(340, 50)},
        {"direct": measured(20, 1000), "gateway": measured(320, 100)},
    ]
    direct, gateway = overhead.summarise([row("direct"), row("gateway")], done)
    assert direct.added_p50_ms == 0
    assert gateway.added_p50_ms == pytest.approx(0.3)
    assert gateway.ratio == pytest.approx(0.1)
    assert (gateway.per_second, gateway.spread) == (100, 0.5)


def test_a_busy_machine_is_said_to_be_one() -> None:
    quiet = report.Host("a CPU", 2, "6.1", "3.11", 0.1)
    assert report.noise(quiet) == []
    assert "worth nothing" in report.noise(msgspec.structs.replace(quiet, load=2.0))[0]


@pytest.fixture
def idle(tmp_path: Path) -> Generator[Running]:
    (port,) = free_ports(1)
    serve = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port))
    with started(Launch("idle", serve, CORE, port, tmp_path / "log")) as running:
        yield running


def test_a_program_that_ends_says_why(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    fails = (sys.executable, "-c", "raise SystemExit('no such file')")
    launch = Launch("broken", fails, CORE, port, tmp_path / "log")
    with pytest.raises(BenchError, match="no such file"), started(launch):
        pass


def test_nothing_is_left_running(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    serve = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port))
    with started(Launch("idle", serve, CORE, port, tmp_path / "log")) as running:
        assert running.cpu_seconds() >= 0
    with pytest.raises(BenchError, match="ended with"):
        running.check()


@pytest.fixture
def mock(tmp_path: Path) -> Generator[http.client.HTTPConnection]:
    binary, reply, stream = tmp_path / "mock", tmp_path / "reply", tmp_path / "stream"
    source = str(stack.ROOT / "bench/mock_upstream.c")
    strict = ("-Wall", "-Wextra", "-Werror", "-o", str(binary), source)
    run(("cc", "-O1", *strict), CORE, 60.0)
    reply.write_bytes(payloads.reply())
    stream.write_bytes(payloads.stream())
    (port,) = free_ports(1)
    arguments = (str(binary), str(port), str(reply), str(stream))
    with started(Launch("mock", arguments, CORE, port, tmp_path / "log")):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        yield connection
        connection.close()


def ask(
    mock: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> tuple[int, bytes]:
    mock.request(method, path, body)
    response = mock.getresponse()
    return response.status, response.read()


@needs_cc
def test_the_mock_speaks_like_the_engine_on_one_connection(
    mock: http.client.HTTPConnection,
) -> None:
    chat = "/v1/chat/completions"
    status, body = ask(mock, "POST", chat, payloads.chat())
    assert status == 200
    assert msgspec.json.decode(body)["model"] == "base"
    status, body = ask(mock, "POST", chat, payloads.chat(stream=True))
    events = [line[6:] for line in body.decode().split("\n\n") if line]
    assert events.pop() == "[DONE]"
    chunks = [msgspec.json.decode(event) for event in events]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta["content"] for delta in deltas) == payloads.ANSWER
    assert chunks[-1]["usage"]["completion_tokens"] == 30
    assert ask(mock, "GET", "/health")[0] == 200
    assert b'"base"' in ask(mock, "GET", "/v1/models")[1]
    assert b"process_start_time_seconds 1" in ask(mock, "GET", "/metrics")[1]
    assert ask(mock, "POST", "/v1/load_lora_adapter", b"{}")[0] == 200
    assert ask(mock, "GET", "/else")[0] == 404


@needs_cc
def test_the_mock_waits_for_a_body_that_comes_in_pieces(
    mock: http.client.HTTPConnection,
) -> None:
    body = payloads.chat()
    mock.putrequest("POST", "/v1/chat/completions")
    mock.putheader("Content-Length", str(len(body)))
    mock.endheaders()
    for byte in range(0, len(body), 100):
        mock.send(body[byte : byte + 100])
    assert mock.getresponse().status == 200


@pytest.mark.parametrize("case", micro.cases(), ids=lambda case: case.name)
def test_a_micro_benchmark_times_what_its_name_says(case: micro.Case) -> None:
    outcome = case.call()
    if case.name.startswith("check"):
        assert isinstance(outcome, Accepted) is ("rejected" not in case.name)
    if isinstance(outcome, Accepted):
        assert bool(outcome.repairs) is ("repaired" in case.name)


@pytest.mark.slow
def test_the_whole_stack_is_measured_in_one_go(tmp_path: Path) -> None:
    try:
        found = tools.find()
    except BenchError as missing:
        pytest.skip(str(missing))
    usable = sorted(os.sched_getaffinity(0))
    cores = Cores(usable[0], usable[-1])
    serve = (sys.executable, str(Path(__file__).with_name("stand_in.py")))
    with stack.up(found, cores, tmp_path, serve) as rows:
        load = Load(found["wrk"], cores.others, 1, tmp_path)
        nginx = next(row for row in rows if row.target.name == "nginx")
        done = overhead.rounds([rows[0], nginx], load, 1, lambda _text: None)
    direct, proxied = overhead.summarise([rows[0], nginx], done)
    assert direct.per_second > 0
    assert proxied.cpu_us > 0
    shown = report.overhead([direct, proxied], report.host(), "1 round of 1 s")
    assert "nginx" in shown
