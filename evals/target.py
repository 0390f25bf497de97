"""A running gateway over HTTP; the only file of the evals that knows httpx.

`evals.fake` is a gateway that answers in process, for the tests.
"""

import contextlib
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final, TypeVar

import httpx
import msgspec

from adapters.verdict import EvalVerdict, encode
from evals import wire
from evals.answers import Answer, Params, Subject
from evals.environment import Access
from evals.errors import TargetError, WrongGeneratorError
from evals.samples import Sample
from evals.wire import LOST, Chat, Delivered, Failed, Fault

T = TypeVar("T")

TIMEOUT: Final = httpx.Timeout(310.0, connect=2.0)
"""Seconds. The gateway itself gives up after 300."""


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

    def __init__(
        self, data: httpx.AsyncClient, admin: httpx.AsyncClient, schema: bytes = b"{}"
    ) -> None:
        self._data = data
        self._admin = admin
        self._schema = schema

    async def ask(self, sample: Sample, subject: Subject, params: Params) -> Answer:
        """Ask one sample.

        Raises:
            WrongGeneratorError: another than `subject` has answered.
            TargetError: nobody has, or not as a gateway does.
        """
        if params.mode == "constrained":
            return await self._ask_constrained(sample, subject, params)
        response = await _send(
            self._data, "POST", "/v1/assist", wire.assist_body(sample, params)
        )
        if response.status_code == HTTPStatus.OK:
            _check_subject(response, subject)
            body = _decode(response, Delivered)
            return wire.delivered(sample, subject, body, response.headers)
        return _lost(sample, subject, response)

    async def _ask_constrained(
        self, sample: Sample, subject: Subject, params: Params
    ) -> Answer:
        content = wire.chat_body(sample, params, self._schema)
        response = await _send(self._data, "POST", "/v1/chat/completions", content)
        if response.status_code != HTTPStatus.OK:
            return _lost(sample, subject, response)
        _check_subject(response, subject)
        try:
            body = wire.from_chat(_decode(response, Chat), "constrained")
        except (msgspec.DecodeError, IndexError) as error:
            raise TargetError(
                "not_understood", f"/v1/chat/completions: {error}"
            ) from error
        return wire.delivered(sample, subject, body, response.headers)

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

    async def put_verdict(self, verdict: EvalVerdict, why: str) -> None:
        """File a verdict, in the place of the one before; `why` is for the audit log.

        Raises:
            TargetError: with the gateway's own words, such as that the adapter there is
                of other bytes.
        """
        fields = msgspec.json.decode(encode(verdict), type=dict[str, object])
        content = msgspec.json.encode({**fields, "why": why})
        path = f"/admin/v1/adapters/{verdict.ref}/verdict"
        _require_ok(await _send(self._admin, "PUT", path, content))

    async def _read(
        self, path: str, kind: type[T], query: dict[str, str] | None = None
    ) -> T:
        response = await _send(self._admin, "GET", path, b"", query)
        _require_ok(response)
        return _decode(response, kind)


@contextlib.asynccontextmanager
async def connect(
    access: Access, concurrency: int, schema: bytes = b"{}"
) -> AsyncGenerator[Target]:
    """Open both planes of a gateway.

    Args:
        access: where it is.
        concurrency: how many connections will be used.
        schema: what constrained questions are bound to, as JSON.
    """
    limits = httpx.Limits(max_connections=concurrency)
    async with (
        _client(access.url, access.key, limits) as data,
        _client(access.admin_url, access.admin_key, limits) as admin,
    ):
        yield Target(data, admin, schema)


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


def _fault(response: httpx.Response) -> Fault:
    try:
        return msgspec.json.decode(response.content, type=Failed).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Fault(f"http_{response.status_code}", response.text[:200])


def _error(response: httpx.Response, fault: Fault) -> TargetError:
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


def _lost(sample: Sample, subject: Subject, response: httpx.Response) -> Answer:
    fault = _fault(response)
    if fault.code not in LOST:
        raise _error(response, fault)
    _check_subject(response, subject)
    return wire.lost(sample, subject, fault, response.headers)
