"""A running gateway over HTTP; the only file of the evals that knows httpx.

`evals.fake` is a gateway that answers in process, for the tests.
"""

import contextlib
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
import msgspec

from evals.answers import Answer, Params, Subject, Verdict
from evals.environment import Access
from evals.errors import TargetError, WrongGeneratorError
from evals.samples import Sample

T = TypeVar("T")

TIMEOUT: Final = httpx.Timeout(310.0, connect=2.0)
"""Seconds. The gateway itself gives up after 300."""

LOST: Final[dict[str, Verdict]] = {
    "output_invalid": "invalid",
    "output_truncated": "truncated",
}
"""Errors that are outcomes: the engine answered, and the answer was no good."""


class _Usage(msgspec.Struct):
    completion_tokens: int | None = None


class _Output(msgspec.Struct):
    status: str
    answer: str
    citations: tuple[str, ...]


class _Delivered(msgspec.Struct):
    id: str
    output: _Output
    verdict: Verdict
    repairs: tuple[Any, ...] = ()
    usage: _Usage | None = None


class _Fault(msgspec.Struct):
    code: str
    message: str = ""
    request_id: str | None = None
    stage: str | None = None
    path: str | None = None
    repairs: tuple[Any, ...] = ()
    usage: _Usage | None = None


class _Failed(msgspec.Struct):
    error: _Fault


class Resolved(msgspec.Struct, frozen=True):
    """What a tenant would get now."""

    generator: str
    model: str
    ready: bool


class _Flag(msgspec.Struct):
    overrides: dict[str, str] = {}


class _Adapter(msgspec.Struct):
    ref: str
    digest: str = ""


class _Adapters(msgspec.Struct):
    adapters: tuple[_Adapter, ...] = ()


class _Replica(msgspec.Struct):
    url: str


class _Replicas(msgspec.Struct):
    replicas: tuple[_Replica, ...] = ()


class Target:
    """Both planes of one gateway. Raises only `TargetError`."""

    def __init__(self, data: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        self._data = data
        self._admin = admin

    async def ask(self, sample: Sample, subject: Subject, params: Params) -> Answer:
        """Ask one sample; raises `WrongGeneratorError` if another than `subject` answers."""
        body = {
            "input": sample.input,
            "surface": params.surface,
            "conversation": f"eval-{sample.id}",
            "stream": False,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
        }
        content = msgspec.json.encode(body)
        response = await _send(self._data, "POST", "/v1/assist", content)
        if response.status_code == HTTPStatus.OK:
            _check_subject(response, subject)
            return _delivered(sample, subject, response)
        fault = _fault(response)
        if fault.code not in LOST:
            raise _error(response, fault)
        _check_subject(response, subject)
        return _lost(sample, subject, response, fault)

    async def overrides(self) -> dict[str, str]:
        """Generator by tenant, as the flag document has it."""
        flag = await self._read("/admin/v1/flags/GENERATOR", _Flag)
        return flag.overrides

    async def put_override(self, tenant: str, generator: str, why: str) -> None:
        """Set a tenant's override."""
        content = msgspec.json.encode({"variant": generator, "why": why})
        path = f"/admin/v1/overrides/{tenant}"
        _require_ok(await _send(self._admin, "PUT", path, content))

    async def delete_override(self, tenant: str, why: str) -> None:
        """Take a tenant's override away; one that is gone already is fine."""
        path = f"/admin/v1/overrides/{tenant}"
        response = await _send(self._admin, "DELETE", path, b"", {"why": why})
        if response.status_code != HTTPStatus.NOT_FOUND:
            _require_ok(response)

    async def resolve(self, tenant: str, surface: str) -> Resolved:
        """What the gateway would answer this tenant with now."""
        query = {"tenant": tenant, "surface": surface, "unit": "eval"}
        return await self._read("/admin/v1/resolve", Resolved, query)

    async def digests(self) -> dict[str, str]:
        """Adapter digests by ref."""
        listed = await self._read("/admin/v1/adapters", _Adapters)
        return {adapter.ref: adapter.digest for adapter in listed.adapters}

    async def replicas(self) -> int:
        """How many engines stand behind the gateway."""
        return len((await self._read("/admin/v1/replicas", _Replicas)).replicas)

    async def _read(
        self, path: str, kind: type[T], query: dict[str, str] | None = None
    ) -> T:
        response = await _send(self._admin, "GET", path, b"", query)
        _require_ok(response)
        return _decode(response, kind)


@contextlib.asynccontextmanager
async def connect(access: Access, concurrency: int) -> AsyncGenerator[Target]:
    """Open both planes of a gateway, with as many connections as will be used."""
    limits = httpx.Limits(max_connections=concurrency)
    async with (
        _client(access.url, access.key, limits) as data,
        _client(access.admin_url, access.admin_key, limits) as admin,
    ):
        yield Target(data, admin)


def _client(url: str, key: str, limits: httpx.Limits) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        timeout=TIMEOUT,
        limits=limits,
        trust_env=False,
    )


async def _send(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    content: bytes,
    query: dict[str, str] | None = None,
) -> httpx.Response:
    try:
        return await client.request(method, path, content=content, params=query)
    except httpx.HTTPError as error:
        where = f"{client.base_url}"
        raise TargetError(
            "unreachable",
            f"{method} {where.rstrip('/')}{path}: {error or type(error).__name__};"
            " is the gateway up? See `wastegate doctor`",
        ) from error


def _decode(response: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        where = response.request.url.path
        raise TargetError("not_understood", f"{where}: {error}") from error


def _fault(response: httpx.Response) -> _Fault:
    try:
        return msgspec.json.decode(response.content, type=_Failed).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Fault(f"http_{response.status_code}", response.text[:200])


def _error(response: httpx.Response, fault: _Fault) -> TargetError:
    after = response.headers.get("retry-after", "")
    seconds = float(after) if after.isdecimal() else 1.0
    return TargetError(fault.code, fault.message, retry_after=min(seconds, 30.0))


def _require_ok(response: httpx.Response) -> None:
    if not response.is_success:
        raise _error(response, _fault(response))


def _check_subject(response: httpx.Response, subject: Subject) -> None:
    generator = response.headers.get("x-wastegate-generator", "nobody")
    model = response.headers.get("x-wastegate-model", "nothing")
    if (generator, model) != (subject.generator, subject.model):
        wanted = f"{subject.generator} ({subject.model})"
        raise WrongGeneratorError(wanted, f"{generator} ({model})")


def _delivered(sample: Sample, subject: Subject, response: httpx.Response) -> Answer:
    body = _decode(response, _Delivered)
    timing = _timing(response)
    return Answer(
        sample=sample.id,
        generator=subject.generator,
        model=subject.model,
        verdict=body.verdict,
        status=body.output.status,
        text=body.output.answer,
        citations=body.output.citations,
        repairs=_kinds(body.repairs),
        completion_tokens=body.usage.completion_tokens if body.usage else None,
        ttft_ms=timing.get("ttft"),
        total_ms=timing.get("total"),
        reason=response.headers.get("x-wastegate-reason", ""),
        request_id=response.headers.get("x-request-id", body.id),
    )


def _lost(
    sample: Sample, subject: Subject, response: httpx.Response, fault: _Fault
) -> Answer:
    timing = _timing(response)
    where = " ".join(part for part in (fault.stage, fault.path) if part)
    return Answer(
        sample=sample.id,
        generator=subject.generator,
        model=subject.model,
        verdict=LOST[fault.code],
        repairs=_kinds(fault.repairs),
        completion_tokens=fault.usage.completion_tokens if fault.usage else None,
        ttft_ms=timing.get("ttft"),
        total_ms=timing.get("total"),
        reason=response.headers.get("x-wastegate-reason", ""),
        request_id=response.headers.get("x-request-id", fault.request_id or ""),
        detail=f"{where}: {fault.message}" if where else fault.message,
    )


def _kinds(repairs: tuple[Any, ...]) -> tuple[str, ...]:
    """Repairs by kind, whether they come as names or as objects with a position."""
    return tuple(
        repair if isinstance(repair, str) else msgspec.json.encode(repair).decode()
        for repair in repairs
    )


def _timing(response: httpx.Response) -> dict[str, float]:
    """`Server-Timing: ttft;dur=41.2, total;dur=300` as milliseconds by name."""
    found: dict[str, float] = {}
    for part in response.headers.get("server-timing", "").split(","):
        name, _, duration = part.strip().partition(";dur=")
        with contextlib.suppress(ValueError):
            found[name] = float(duration)
    return found
