"""Waiting for a stack to be ready, and saying meanwhile what it is busy with."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.host import children, launch, process, status
from gateway.host.config import StackConfig
from gateway.host.errors import StepFailedError
from gateway.host.layout import Layout
from gateway.host.policy import State

_POLL: Final = 0.25
_TIMEOUT: Final = 5.0
_TOO_MANY_DEATHS: Final = 3
_READY: Final = "ready"


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer; status 0 when there was none."""

    status: int
    body: bytes = b""


def get(url: str, key: str | None = None) -> Answer:
    """GET a loopback URL; every failure is an answer with status 0.

    No proxy is used, whatever the environment says.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http, from the configuration
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as response:
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read())
    except (OSError, http.client.HTTPException, ValueError):
        return Answer(0)


class Watch(msgspec.Struct, frozen=True):
    """What to wait for: the stack's files, its addresses, the administrator's key."""

    layout: Layout
    config: StackConfig
    engine_url: str
    admin_key: str


def is_ready(watch: Watch) -> bool:
    """Ask once."""
    return phase(watch) == _READY


def phase(watch: Watch) -> str:
    """Say what the stack is busy with; "ready" when with nothing.

    It is ready when the gateway says so and each adapter that is to be mounted is.
    """
    answer = get(f"{watch.config.url}/readyz")
    if answer.status != http.HTTPStatus.OK:
        engine = get(f"{watch.engine_url}/health")
        if engine.status != http.HTTPStatus.OK:
            return "the engine loads the base model"
        if answer.status == 0:
            return "the gateway starts"
        return "the gateway is not ready yet" + _reason(answer.body)
    return _adapters(watch)


def _adapters(watch: Watch) -> str:
    answer = get(f"{watch.config.admin_url}/admin/v1/adapters", watch.admin_key)
    if answer.status != http.HTTPStatus.OK:
        return f"the control plane answers {answer.status}{_reason(answer.body)}"
    try:
        listed = msgspec.json.decode(answer.body, type=_Adapters)
    except msgspec.DecodeError:
        return "the control plane's list of adapters cannot be read"
    waiting = [
        f"{adapter.ref} ({replica.state.lower()}{_because(replica.reason)})"
        for adapter in listed.adapters
        if adapter.desired == "mounted"
        for replica in adapter.replicas
        if replica.state.lower() != _READY
    ]
    return f"adapters are mounted: {', '.join(waiting)}" if waiting else _READY


class _Replica(msgspec.Struct, frozen=True):
    state: str
    reason: str | None = ""


class _Adapter(msgspec.Struct, frozen=True):
    ref: str
    desired: str
    replicas: tuple[_Replica, ...]


class _Adapters(msgspec.Struct, frozen=True):
    adapters: tuple[_Adapter, ...]


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class _Explained(msgspec.Struct, frozen=True):
    """The bodies of /readyz (what is missing) and of an error, in one."""

    missing: tuple[str, ...] = ()
    error: _Error = _Error()


def _reason(body: bytes) -> str:
    """Take what people want to read out of a body, if there is anything."""
    try:
        found = msgspec.json.decode(body, type=_Explained)
    except msgspec.DecodeError:
        return ""
    return _because("; ".join(found.missing) or found.error.message)


def wait(watch: Watch, deadline: float, tell: Callable[[str], None]) -> None:
    """Wait until the stack is ready.

    Args:
        watch: what to wait for.
        deadline: how long at most, in seconds.
        tell: takes the present phase at each look.

    Raises:
        StepFailedError: the deadline passed, a child keeps dying, or the supervisor
            has gone; carries the end of the log that shows why.
    """
    limit = time.monotonic() + deadline
    while True:
        now = phase(watch)
        if now == _READY:
            return
        tell(now)
        _look_at_children(watch)
        if time.monotonic() > limit:
            raise StepFailedError(
                f"not ready after {deadline:.0f} s: {now}",
                f"read the logs in {watch.layout.log}, then make down && make up",
                _likely_log(watch),
            )
        time.sleep(_POLL)


def _look_at_children(watch: Watch) -> None:
    seen = status.read(watch.layout.status)
    if seen is None or not process.alive(seen.supervisor) or seen.stopping:
        raise StepFailedError(
            "the stack has been stopped while it was starting",
            "run make up again",
            launch.tail(watch.layout, "supervisor"),
        )
    for child in seen.children:
        if child.deaths >= _TOO_MANY_DEATHS:
            raise StepFailedError(
                f"the {child.name} keeps dying ({child.last})",
                f"see why below, or in {child.log}",
                launch.tail(watch.layout, child.name),
            )


def _likely_log(watch: Watch) -> str:
    seen = status.read(watch.layout.status)
    engine = seen.child(children.ENGINE) if seen else None
    stuck = engine is not None and (
        engine.state is not State.RUNNING
        or get(f"{watch.engine_url}/health").status != http.HTTPStatus.OK
    )
    name = children.ENGINE if stuck else children.GATEWAY
    return launch.tail(watch.layout, name)
