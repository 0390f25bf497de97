"""The shared store: one Redis, for gateways on several machines.

A change is one Lua script: it compares the document's version and the head of
the audit chain, then writes the document, the audit entry and the global
version, and publishes the version as a hint. Redis runs it as a whole or not at
all. The chain's digest needs sha256, which Redis's Lua has not, so the client
computes it from the head that it read; when another change came in between, the
script refuses and the client repeats, each time because somebody else's change
succeeded.

What "on disk" means is the server's setting: with `appendonly yes` and
`appendfsync always` an acknowledged change survives a crash of the server, with
Redis's defaults it does not.
"""

from contextlib import suppress
from typing import Final, Protocol, cast

import msgspec
from redis import exceptions as foreign

from routing.audit import GENESIS, AuditEntry, Change, entry_after
from routing.errors import Conflict, Corrupt
from routing.store import MOST_ENTRIES, Document, check_key, next_version
from routing.stores.redis_link import CALL_SECONDS, SPACE, Link, Script

HINT_SECONDS: Final = 1.0
"""A wait for a hint is taken up again so often; nothing is lost in between."""

_HEAD: Final = f"{SPACE}:head"
_AUDIT: Final = f"{SPACE}:audit"

HINT: Final = f"{SPACE}:changed"
"""The channel on which each new global version is published."""

_PUT: Final = """
local found = redis.call('HGET', KEYS[1], 'version') or '0'
local head = redis.call('HGET', KEYS[2], 'digest') or ''
if found ~= ARGV[1] then return {'conflict', found} end
if head ~= ARGV[2] then return {'moved', head} end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'body', ARGV[4])
redis.call('RPUSH', KEYS[3], ARGV[5])
redis.call('HSET', KEYS[2], 'version', ARGV[6], 'digest', ARGV[7])
redis.call('PUBLISH', ARGV[8], ARGV[6])
return {'done', ARGV[3]}
"""


class _Subscription(Protocol):
    async def subscribe(self, channel: str) -> None: ...
    async def get_message(
        self,
        *,
        ignore_subscribe_messages: bool,
        timeout: float,  # noqa: ASYNC109 -- the library's name
    ) -> object: ...
    async def aclose(self) -> None: ...


class _Client(Protocol):
    """The calls that are used, with the types that they have (redis-py has none)."""

    def register_script(self, script: str) -> Script: ...
    async def hmget(self, name: str, keys: list[str]) -> list[bytes | None]: ...
    async def lrange(self, name: str, start: int, end: int) -> list[bytes]: ...
    def pubsub(self) -> _Subscription: ...


class RedisStore:
    """The port on a Redis server, under keys that begin with `{wastegate}`."""

    def __init__(self, url: str) -> None:
        """Take a checked URL; nothing is connected before the first call."""
        self._link: Final = Link(url)
        self._client: Final = cast("_Client", self._link.client)
        self._script: Final = self._client.register_script(_PUT)
        self._hints: _Subscription | None = None

    async def get(self, key: str) -> Document | None:
        """See the port."""
        check_key(key)
        async with self._link.call():
            return await self._get(key)

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        expect: int,
        entry: Change,
        version: int | None = None,
    ) -> Document:
        """See the port."""
        new = Document(check_key(key), next_version(expect, version), body)
        async with self._link.call():
            while True:
                done = await self._attempt(new, expect, entry)
                if done is not None:
                    return done

    async def version(self) -> int:
        """See the port."""
        async with self._link.call():
            return (await self._head())[0]

    async def changed(self) -> None:
        """See the port; what is published is the new version."""
        try:
            if self._hints is None:
                async with self._link.call():
                    self._hints = self._client.pubsub()
                    await self._hints.subscribe(HINT)
                return
            while True:
                async with self._link.call(HINT_SECONDS + CALL_SECONDS):
                    message = await self._hints.get_message(
                        ignore_subscribe_messages=True, timeout=HINT_SECONDS
                    )
                if message is not None:
                    return
        except BaseException:
            # What is left of a connection after an error or in mid-read is unknown.
            await self._forget_hints()
            raise

    async def _forget_hints(self) -> None:
        hints, self._hints = self._hints, None
        if hints is not None:
            with suppress(foreign.RedisError, OSError):
                await hints.aclose()

    async def audit(self, limit: int) -> list[AuditEntry]:
        """See the port."""
        if limit < 1:
            return []
        async with self._link.call():
            raw = await self._client.lrange(_AUDIT, -min(limit, MOST_ENTRIES), -1)
        try:
            return [msgspec.msgpack.decode(each, type=AuditEntry) for each in raw[::-1]]
        except msgspec.DecodeError as error:
            raise Corrupt(
                f"redis: the list {_AUDIT} has an entry that Wastegate did not write:"
                " restore a backup, or use a database of its own"
            ) from error

    async def close(self) -> None:
        """See the port."""
        await self._forget_hints()
        await self._link.close()

    async def _get(self, key: str) -> Document | None:
        version, body = await self._client.hmget(_name(key), ["version", "body"])
        if version is None or body is None:
            return None
        return Document(key, _number(version), body)

    async def _head(self) -> tuple[int, str]:
        version, digest = await self._client.hmget(_HEAD, ["version", "digest"])
        if version is None or digest is None:
            return 0, ""
        return _number(version), digest.decode()

    async def _attempt(
        self, new: Document, expect: int, change: Change
    ) -> Document | None:
        """Try once; None when another change moved the chain's head meanwhile."""
        # The head first: a document that is read later and still has the expected
        # version under the same head is what this head's next entry replaces.
        version, digest = await self._head()
        old = await self._get(new.key)
        found = old.version if old else 0
        if found != expect:
            raise Conflict(expect, found, key=new.key)
        entry = entry_after(
            digest or GENESIS,
            seq=version + 1,
            key=new.key,
            change=change,
            before=old.body if old else None,
            after=new.body,
        )
        outcome, value = await self._script(
            [_name(new.key), _HEAD, _AUDIT],
            [
                *(str(expect).encode(), digest.encode()),
                *(str(new.version).encode(), new.body),
                msgspec.msgpack.encode(entry),
                *(str(entry.seq).encode(), entry.digest.encode(), HINT.encode()),
            ],
        )
        if outcome == b"conflict":
            raise Conflict(expect, _number(value), key=new.key)
        return new if outcome == b"done" else None


def _name(key: str) -> str:
    return f"{SPACE}:doc:{key}"


def _number(value: bytes) -> int:
    if not value.isdigit():
        raise Corrupt(
            f"redis: a version under {SPACE} is {value[:20]!r}, not a number:"
            " restore a backup, or use a database of its own"
        )
    return int(value)
