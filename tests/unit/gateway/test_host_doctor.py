"""What the doctor makes of machines that are not at hand."""

import socket

import msgspec
import pytest

from gateway.host import doctor, machine
from gateway.host.doctor import Circumstances, judge_machine, judge_port
from gateway.host.machine import GIB, Machine, Port

GOOD = Machine(
    python=(3, 11),
    system="Linux",
    architecture="x86_64",
    cpu_flags=frozenset({"sse2", "avx2"}),
    cores=2,
    memory=8 * GIB,
    disk=20 * GIB,
    curl=True,
)
HERE = Circumstances(engine_here=True)
ELSEWHERE = Circumstances(engine_here=False)


def complaints(
    seen: Machine, where: Circumstances = HERE, *, installed: bool = False
) -> dict[str, bool]:
    """Name the rows that are not ok, with whether they stop the start."""
    rows = judge_machine(seen, where, installed=installed)
    return {row.name: row.fatal for row in rows if not row.ok}


def test_a_good_machine_has_no_complaints() -> None:
    assert complaints(GOOD) == {}


@pytest.mark.parametrize(
    ("change", "name", "fatal"),
    [
        ({"python": (3, 10)}, "Python", True),
        ({"system": "Darwin"}, "system", True),
        ({"cpu_flags": frozenset({"avx"})}, "CPU", True),
        ({"architecture": "aarch64"}, "CPU", True),
        ({"cores": 1}, "cores", False),
        ({"memory": 5 * GIB}, "memory", True),
        ({"disk": 7 * GIB}, "disk", True),
        ({"curl": False}, "curl", False),
    ],
)
def test_each_lack_is_found_and_weighed(
    change: dict[str, object], name: str, *, fatal: bool
) -> None:
    seen = msgspec.structs.replace(GOOD, **change)
    assert complaints(seen) == {name: fatal}


def test_every_complaint_says_what_to_do() -> None:
    poor = Machine(
        python=(3, 9),
        system="Plan9",
        architecture="mips",
        cpu_flags=frozenset(),
        cores=1,
        memory=0,
        disk=0,
        curl=False,
    )
    rows = judge_machine(poor, HERE, installed=False)
    assert all(row.advice for row in rows if not row.ok)


def test_without_an_engine_here_its_needs_do_not_count() -> None:
    poor = msgspec.structs.replace(
        GOOD, cpu_flags=frozenset[str](), memory=GIB, disk=2 * GIB
    )
    assert not any(complaints(poor, ELSEWHERE).values())


def test_an_installed_engine_needs_less_disk() -> None:
    seen = msgspec.structs.replace(GOOD, disk=2 * GIB)
    assert complaints(seen, installed=True) == {}


def test_the_memory_of_a_running_stack_is_not_missing() -> None:
    seen = msgspec.structs.replace(GOOD, memory=GIB)
    running = Circumstances(engine_here=True, own=frozenset({1}))
    assert complaints(seen, running) == {}


def test_a_port_of_our_own_is_no_complaint() -> None:
    running = Circumstances(engine_here=True, own=frozenset({42}))
    assert judge_port(Port("engine", 8000, taken=True, holder=42), running).ok
    assert not judge_port(Port("engine", 8000, taken=True, holder=43), running).ok


def test_a_port_held_by_somebody_unseen_is_taken_all_the_same() -> None:
    row = judge_port(Port("engine", 8000, taken=True), HERE)
    assert row.fatal
    assert "another user" in row.found


def test_a_taken_port_is_seen_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        seen = machine.look_at_port("engine", number)
    assert seen.taken
    assert seen.holder is not None
    assert not machine.look_at_port("engine", number).taken


def test_the_kernels_tables_are_read() -> None:
    assert machine.cpu_flags("processor: 0\nflags : fpu avx2\n") == {"fpu", "avx2"}
    assert machine.cpu_flags("") == frozenset()
    assert machine.available("MemTotal: 9 kB\nMemAvailable:  2048 kB\n") == 2 * 1024**2
    assert machine.available("") == 0


def test_a_warning_is_not_fatal() -> None:
    assert not doctor.Row("curl", ok=False, found="absent", needed=False).fatal
