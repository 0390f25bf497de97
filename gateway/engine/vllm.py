"""The real engine: one vLLM server, spoken to over HTTP.

Completions are the gateway's hot path, so nothing is done per call that can be done
once: heads are ready-made, bodies go through as bytes, and one timer watches one
wait. They go over `gateway.engine.connection`. Everything else (looks, loads,
unloads) is rare and goes over aiohttp.
"""

import asyncio
import functools
import re
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from gateway.engine.connection import KEEP_ALIVE, Connection, Pool
from gateway.engine.port import Observed, Timeouts
from gateway.engine.refusal import FOREIGN, Limit, refused, said, translated
from gateway.engine.stream import HTTP_OK, Limits, Stream, read_whole
from gateway.errors import BadRequest, GatewayError, UpstreamError, UpstreamTimeout

OBSERVE_SECONDS: Final = 2.0
LOAD_SECONDS: Final = 30.0
"""Loading reads files within the engine's one loop, behind whatever step is running."""

_EPOCH: Final = re.compile(
    rb"^process_start_time_seconds(?:\{[^}]*\})? (\S+)", re.MULTILINE
)
_DOWN: Final = Observed(alive=False, boot_epoch=0.0, models=frozenset())
_LATE: Final = Observed(alive=False, boot_epoch=0.0, models=frozenset(), late=True)


class _Card(msgspec.Struct, frozen=True):
    id: str
    root: str | None = None


class _Cards(msgspec.Struct, frozen=True):
    data: tuple[_Card, ...]


_cards: Final = msgspec.json.Decoder(_Cards)


class VllmReplica:
    """One vLLM server; implements `gateway.engine.port.Replica`."""

    def __init__(
        self,
        url: str,
        timeouts: Timeouts,
        *,
        api_key: str = "",
        observe_seconds: float = OBSERVE_SECONDS,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        """Prepare the addresses; nothing is opened before the first call.

        Args:
            url: base address, like `http://127.0.0.1:8000`.
            timeouts: how long the engine may take.
            api_key: what vLLM was started with as `--api-key`, if anything.
            observe_seconds: deadline of a whole look.
            load_seconds: deadline of one load or unload.
        """
        self._url = url.rstrip("/")
        self._timeouts = timeouts
        self._limits = Limits(timeouts)
        self._observe_limit = Limit("observe", observe_seconds)
        self._load_limit = Limit("load", load_seconds)
        self._pool = Pool(URL(self._url), connect=timeouts.connect)
        self._models = URL(f"{self._url}/v1/models")
        self._load = URL(f"{self._url}/v1/load_lora_adapter")
        self._unload = URL(f"{self._url}/v1/unload_lora_adapter")
        self._health = URL(f"{self._url}/health")
        self._metrics = URL(f"{self._url}/metrics")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._head = _chat_head(URL(self._url), api_key)
        self._opened: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def url(self) -> str:
        return self._url

    async def complete(self, body: bytes) -> bytes:
        limit = self._limits.total
        deadline = asyncio.timeout(limit.seconds)
        try:
            async with deadline:
                response = await self._ask(body)
                raw = await read_whole(response)
        except FOREIGN as error:
            raise translated(error, limit if deadline.expired() else None) from error
        if response.status != HTTP_OK:
            raise refused(response.status, raw)
        return raw

    def stream(self, body: bytes) -> Stream:
        return Stream(functools.partial(self._ask, body), self._limits)

    async def _ask(self, body: bytes) -> Connection:
        """Send a completion's request; the connection, with the answer's head."""
        connection = await self._pool.connection()
        try:
            connection.send(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            return await connection.head()
        except BaseException:  # cancellation above all: the engine has to abort
            connection.close()
            raise

    async def observe(self) -> Observed:
        try:
            async with asyncio.timeout(self._observe_limit.seconds):
                return await self._look()
        except (UpstreamTimeout, TimeoutError):
            return _LATE
        except (GatewayError, msgspec.DecodeError, ValueError):
            return _DOWN

    async def load(self, name: str, path: Path) -> None:
        """Load an adapter under a name from an absolute, staged path.

        A name that is loaded already from the same path is a success.

        Raises:
            BadRequest: the path is not absolute or not there, and nothing was sent;
                or the engine refuses the adapter or the name.
            UpstreamTimeout: no answer in time. Whether it is loaded is unknown: look
                with `observe`, do not send it again blindly.
            UpstreamError: the engine failed or is down.
        """
        if not await asyncio.to_thread(_is_staged, path):
            raise BadRequest(
                f"{path} is not the absolute path of an existing directory;"
                " an adapter is loaded from where the registry staged it",
                param="path",
            )
        body = msgspec.json.encode({"lora_name": name, "lora_path": str(path)})
        status, raw = await self._exchange("POST", self._load, self._load_limit, body)
        if status == HTTP_OK:
            return
        if status == 400 and _Card(name, str(path)) in await self._cards():  # noqa: PLR2004 -- HTTP
            return
        raise _load_refused(name, status, raw)

    async def unload(self, name: str) -> None:
        """Take a name away; in-flight requests finish. An unknown name is no error.

        Raises:
            UpstreamTimeout: no answer in time; whether the name is gone is unknown.
            UpstreamError: the engine failed, is down, or still lists the name.
        """
        body = msgspec.json.encode({"lora_name": name})
        status, raw = await self._exchange("POST", self._unload, self._load_limit, body)
        if status == HTTP_OK:
            return
        if status not in (400, 404) or name in {c.id for c in await self._cards()}:
            raise UpstreamError(
                f"the engine did not unload {name}: {_reason(status, raw)}"
            )

    async def aclose(self) -> None:
        self._closed = True
        self._pool.close()
        if self._opened is not None:
            await self._opened.close()

    async def _request(
        self, method: str, url: URL, body: bytes | None = None
    ) -> aiohttp.ClientResponse:
        session = self._opened or self._open()
        return await session.request(method, url, data=body, allow_redirects=False)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise UpstreamError("the gateway has closed its connections to the engine")
        self._opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**self._headers, "Accept-Encoding": "identity"},
            skip_auto_headers=("User-Agent", "Accept"),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
            auto_decompress=False,
            trust_env=False,
            raise_for_status=False,
        )
        return self._opened

    async def _exchange(
        self, method: str, url: URL, limit: Limit, body: bytes | None = None
    ) -> tuple[int, bytes]:
        deadline = asyncio.timeout(limit.seconds)
        try:
            async with deadline:
                response = await self._request(method, url, body)
                async with response:
                    return response.status, await response.read()
        except FOREIGN as error:
            raise translated(error, limit if deadline.expired() else None) from error

    async def _get(self, url: URL) -> bytes:
        status, raw = await self._exchange("GET", url, self._observe_limit)
        if status != HTTP_OK:
            raise UpstreamError(f"the engine answered {url.path} with status {status}")
        return raw

    async def _cards(self) -> tuple[_Card, ...]:
        try:
            return _cards.decode(await self._get(self._models)).data
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UpstreamError(
                "the engine's /v1/models is no list of models"
            ) from error

    async def _look(self) -> Observed:
        # The epoch is read before the names: if the engine restarts in between, new
        # names with an old epoch only cost another look, while old names with the new
        # epoch would hide that the adapters are lost.
        await self._get(self._health)
        epoch = _EPOCH.search(await self._get(self._metrics))
        if epoch is None:
            return _DOWN
        names = frozenset(card.id for card in await self._cards())
        return Observed(alive=True, boot_epoch=float(epoch[1]), models=names)


def _chat_head(base: URL, api_key: str) -> bytes:
    """The head of every completion's request, up to the length of its body."""
    key = f"Authorization: Bearer {api_key}\r\n" if api_key else ""
    return (
        f"POST {base.raw_path.rstrip('/')}/v1/chat/completions HTTP/1.1\r\n"
        f"Host: {base.raw_authority}\r\n"
        f"Content-Type: application/json\r\n{key}Content-Length: "
    ).encode()


def _is_staged(path: Path) -> bool:
    return path.is_absolute() and ".." not in path.parts and path.is_dir()


def _load_refused(name: str, status: int, raw: bytes) -> GatewayError:
    if status == 400:  # noqa: PLR2004 -- HTTP
        return BadRequest(f"the engine refused {name}: {said(raw).message}")
    return UpstreamError(f"the engine did not load {name}: {_reason(status, raw)}")


def _reason(status: int, raw: bytes) -> str:
    refusal = said(raw)
    if status in (404, 405) and refusal.type != "NotFoundError":
        return (
            "it does not take adapters at run time; start it with --enable-lora"
            " and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
        )
    return f"{refusal.message or 'no reason given'} (status {status})"
