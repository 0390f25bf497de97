"""The supervisor's loop by itself, with real children and short graces."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.host import launch, process, status
from gateway.host.child import clock, describe_exit
from gateway.host.errors import StackBusyError
from gateway.host.layout import Layout
from gateway.host.policy import Backoff, State
from gateway.host.supervisor import Supervisor, only_one
from tests.unit.gateway.host_fakes.stack import until

QUICK = Backoff(pauses=(0.05, 0.1), healthy_after=60.0)
SLEEPER = ("/bin/sleep", "600")
IGNORE_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('deaf', flush=True); time.sleep(600)"
)
STUBBORN = (sys.executable, "-c", IGNORE_TERM)


def layout_in(root: Path) -> Layout:
    layout = Layout(root)
    layout.make_directories()
    return layout


def spec(layout: Layout, name: str, argv: tuple[str, ...]) -> status.ChildSpec:
    return status.ChildSpec(
        name=name,
        argv=argv,
        env={},
        cwd=str(layout.root),
        log=str(layout.log_of(name)),
        grace=0.3,
    )


def supervise(layout: Layout, **children: tuple[str, ...]) -> Supervisor:
    specs = tuple(spec(layout, name, argv) for name, argv in children.items())
    return Supervisor(layout, status.Plan(children=specs, digest=""), QUICK)


def turn_until(
    supervisor: Supervisor, condition: Callable[[], bool], what: str
) -> None:
    def turned() -> bool:
        supervisor.turn(clock())
        return condition()

    until(turned, what)


def end(supervisor: Supervisor) -> None:
    supervisor.request_stop()
    until(lambda: not supervisor.turn(clock()), "everything would stop")


def child(layout: Layout, name: str) -> status.ChildStatus:
    seen = status.read(layout.status)
    assert seen is not None
    found = seen.child(name)
    assert found is not None
    return found


def test_a_child_that_keeps_dying_is_counted_and_tried_again(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    supervisor = supervise(layout, engine=("/bin/false",))
    turn_until(supervisor, lambda: child(layout, "engine").deaths >= 4, "four deaths")
    assert child(layout, "engine").last == "exit code 1"
    end(supervisor)


def test_a_program_that_is_not_there_is_a_death_like_any_other(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    supervisor = supervise(layout, engine=(str(tmp_path / "absent"),))
    turn_until(supervisor, lambda: child(layout, "engine").deaths >= 2, "two deaths")
    assert child(layout, "engine").last.startswith("cannot be started")
    end(supervisor)


def test_a_child_that_ignores_sigterm_is_killed_at_its_deadline(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    supervisor = supervise(layout, engine=STUBBORN)
    log = layout.log_of("engine")
    turn_until(
        supervisor, lambda: log.exists() and "deaf" in log.read_text(), "it is deaf"
    )
    end(supervisor)
    assert child(layout, "engine").last == "killed by SIGKILL"


def test_children_have_groups_of_their_own(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    supervisor = supervise(layout, engine=SLEEPER, gateway=SLEEPER)
    supervisor.turn(clock())
    pids = [child(layout, name).identity for name in ("engine", "gateway")]
    groups = {os.getpgid(each.pid) for each in pids if each is not None}
    assert len(groups - {os.getpgid(0)}) == 2
    end(supervisor)


def test_each_child_can_be_told_by_the_stacks_token(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    supervisor = supervise(layout, engine=SLEEPER)
    supervisor.turn(clock())
    seen = status.read(layout.status)
    assert seen is not None
    until(
        lambda: launch.strays(seen) == (child(layout, "engine").identity,),
        "the child carries the token",
    )
    end(supervisor)
    assert launch.strays(seen) == ()


def test_an_abandoned_stack_stops(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    supervisor = supervise(layout, engine=SLEEPER)
    supervisor.turn(clock())
    supervisor.abandon()
    until(lambda: not supervisor.turn(clock()), "everything would stop")
    assert child(layout, "engine").state is State.STOPPED


def test_a_second_supervisor_is_refused(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    with only_one(layout):
        assert launch.lock_is_held(layout)
        with (
            pytest.raises(StackBusyError, match="another supervisor"),
            only_one(layout),
        ):
            pass
    assert not launch.lock_is_held(layout)


def test_a_status_that_is_not_ours_counts_as_none(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    layout.status.write_text("{}")
    assert status.read(layout.status) is None
    assert launch.find(layout) is None


def test_a_process_is_not_signalled_under_another_start_time() -> None:
    me = process.identify(os.getpid())
    assert me is not None
    other = process.Identity(me.pid, me.started + 1, me.boot)
    assert not process.alive(other)
    assert not process.send(other, signal.SIGKILL)


def test_an_identity_of_another_boot_is_dead() -> None:
    me = process.identify(os.getpid())
    assert me is not None
    assert not process.alive(process.Identity(me.pid, me.started, "another"))


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "exit code 3"), (-9, "killed by SIGKILL"), (-250, "killed by signal 250")],
)
def test_an_end_is_told_in_words(code: int, said: str) -> None:
    assert describe_exit(code) == said
