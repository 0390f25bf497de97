"""`wastegate up`: from a checked-out repository to a stack that answers.

Each step can be repeated and leaves either nothing or its whole result, so that
`up` after any interruption does what is left to do.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from gateway import configuration
from gateway.errors import SettingsError
from gateway.host import (
    children,
    doctor,
    keys,
    launch,
    questions,
    ready,
    shipped,
    status,
)
from gateway.host.child import tied_to_parent
from gateway.host.config import StackConfig, load
from gateway.host.errors import (
    ConfigError,
    HostError,
    MissingPieceError,
    StepFailedError,
)
from gateway.host.layout import BASE_RECORD, Layout
from gateway.host.narrator import Narrator

STEPS: Final = 6
_ABORT_PATIENCE: Final = 30.0


class Order(msgspec.Struct, frozen=True):
    """What `up` was asked for.

    `configs` are absolute, `deadline` is seconds to wait for readiness.
    """

    configs: tuple[Path, ...]
    engine_url: str | None = None
    deadline: float = 300.0


class Outcome(msgspec.Struct, frozen=True):
    """A ready stack. `started` is false when it ran before."""

    config: StackConfig
    started: bool
    stale: bool = False


def up(layout: Layout, order: Order, narrator: Narrator) -> Outcome:
    """Bring the stack up, or find that it is.

    Args:
        layout: the stack's directory.
        order: what is wanted.
        narrator: hears of each step.

    Raises:
        HostError: a step failed; nothing that this call has started is left.
        KeyboardInterrupt: likewise.
    """
    config = load(order.configs)
    layout.make_directories()
    with _interruptible(), _only_one(layout, narrator):
        seen = launch.find(layout)
        if seen is not None and seen.stopping:
            narrator.say("the stack is just going down: waiting for that")
            launch.await_end(layout, seen, narrator.note, _patience(seen))
            seen = None
        if seen is not None:
            return _attach(layout, order, config, seen, narrator)
        return _fresh(layout, order, config, narrator)


def _patience(seen: status.Status) -> float:
    return 60.0 * len(seen.children)


def _attach(
    layout: Layout,
    order: Order,
    config: StackConfig,
    seen: status.Status,
    narrator: Narrator,
) -> Outcome:
    kept = keys.load(layout)
    if kept is None:
        raise MissingPieceError(
            f"the stack runs, but its keys have gone from {layout.env_file}",
            "make new ones: make down && make up",
        )
    overlay = keys.overlay(layout, config, kept, order.engine_url)
    plan = children.plan(
        layout, config, order.configs, overlay=overlay, engine_url=order.engine_url
    )
    watch = _watch(layout, order, config, kept)
    narrator.say(f"the stack runs already (supervisor pid {seen.supervisor.pid})")
    _await_ready(watch, order, narrator)
    return Outcome(config, started=False, stale=plan.digest != seen.digest)


def _watch(
    layout: Layout, order: Order, config: StackConfig, kept: keys.Keys
) -> ready.Watch:
    engine_url = order.engine_url or config.engine.replicas[0]
    return ready.Watch(layout, config, engine_url.rstrip("/"), kept.admin)


def _await_ready(watch: ready.Watch, order: Order, narrator: Narrator) -> None:
    with narrator.waiting() as tell:
        ready.wait(watch, order.deadline, tell)


def _fresh(
    layout: Layout, order: Order, config: StackConfig, narrator: Narrator
) -> Outcome:
    for line in launch.sweep(layout):
        narrator.say(line)
    engine_here = order.engine_url is None and config.engine_is_here
    with narrator.step("looking at this machine"):
        _require(doctor.examine(layout, config, doctor.Circumstances(engine_here)))
    with narrator.step("keys, in var/local.env"):
        kept = keys.ensure(layout, config, order.engine_url)
        _check(layout, order)
    with narrator.step("base model", "about half a minute the first time"):
        if engine_here:
            _base_model(layout, config, narrator)
        else:
            narrator.note("the engine that runs already has its own")
    with narrator.step("adapters"):
        _adapters(layout, config, narrator)
        narrator.note(questions.ensure(layout, config))
    plan = children.plan(
        layout,
        config,
        order.configs,
        overlay=layout.overlay.read_bytes(),
        engine_url=order.engine_url,
    )
    names = " and ".join(child.name for child in plan.children)
    with narrator.step(f"starting {names}"):
        lease = launch.start(layout, plan)
    with _ended_on_failure(layout, lease, narrator):
        with narrator.step("waiting until it is ready", "about a minute"):
            _await_ready(_watch(layout, order, config, kept), order, narrator)
        lease.keep()
    return Outcome(config, started=True)


@contextlib.contextmanager
def _ended_on_failure(
    layout: Layout, lease: launch.Lease, narrator: Narrator
) -> Generator[None]:
    """End the stack when the block does not reach its end."""
    try:
        yield
    except (HostError, KeyboardInterrupt):
        seen = launch.find(layout)
        lease.close()
        narrator.say("stopping what was started")
        if seen is not None:
            launch.await_end(layout, seen, narrator.note, _ABORT_PATIENCE)
        raise
    finally:
        lease.close()


def _require(rows: tuple[doctor.Row, ...]) -> None:
    bad = [row for row in rows if row.fatal]
    if bad:
        raise MissingPieceError(
            "this machine lacks something that is needed",
            "wastegate doctor shows everything",
            "\n".join(f"{row.name}: {row.found} → {row.advice}" for row in bad),
        )


def _check(layout: Layout, order: Order) -> None:
    """Let the gateway's own reader judge the files, before anything is started."""
    try:
        configuration.load((*order.configs, layout.overlay), os.environ)
    except SettingsError as error:
        raise ConfigError(
            f"the configuration is refused: {error}",
            "correct it in wastegate.toml, then run make up again",
        ) from error


def _base_model(layout: Layout, config: StackConfig, narrator: Narrator) -> None:
    target = layout.model(config.engine.base)
    if (target / BASE_RECORD).is_file():
        narrator.note(f"{config.engine.base} is there")
        return
    argv = [str(layout.engine_python), "-m", "training", "base", "--out", str(target)]
    finished = subprocess.run(  # noqa: S603 - our own environment's interpreter
        argv,
        cwd=layout.root,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=tied_to_parent(),
    )
    if finished.returncode != 0:
        raise StepFailedError(
            f"preparing the base model ended with exit code {finished.returncode}",
            "see the lines above; run make up again to repeat it",
        )


def _adapters(layout: Layout, config: StackConfig, narrator: Narrator) -> None:
    base = layout.model(config.engine.base)
    told = shipped.register(
        layout.root / "models",
        layout.root / config.registry.path,
        base if (base / BASE_RECORD).is_file() else None,
    )
    for line in told:
        narrator.note(line)


@contextlib.contextmanager
def _only_one(layout: Layout, narrator: Narrator) -> Generator[None]:
    """Let one `up` at a time work here; the kernel frees the lock at any death."""
    descriptor = os.open(layout.up_lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            narrator.say("another `wastegate up` is at work here: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _interruptible() -> Generator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C: clear up, then end.

    SIGINT is taken even where a shell has set it to be ignored, as it does for what
    a script starts in the background; SIGHUP is not, since nohup asks for that.
    """

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
