"""Tallies on the shared store: one script a batch, so that it is whole or not at all."""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Final, Protocol, cast

import msgspec

from routing.errors import Conflict, Corrupt
from routing.stores.redis_link import SPACE, Link, Script
from routing.tallies import Counted, Entry, increments, stage_of
from routing.tally import Stage

REMEMBERED_SECONDS: Final = 30 * 86_400
"""How long after its last unit a stage's units and counts are kept."""

_COUNT: Final = """
for _, line in ipairs(ARGV) do
  local each = cjson.decode(line)
  local units = KEYS[1] .. ':' .. each[1] .. ':units'
  local counts = KEYS[1] .. ':' .. each[1] .. ':counts'
  if redis.call('SADD', units, each[2]) == 1 then
    for name, number in pairs(each[3]) do
      redis.call('HINCRBY', counts, name, number)
    end
    redis.call('EXPIRE', units, each[4])
    redis.call('EXPIRE', counts, each[4])
  end
end
return {}
"""

_WRITE: Final = """
local found = redis.call('LLEN', KEYS[1])
local number = tonumber(ARGV[1])
if number == found + 1 then
  redis.call('RPUSH', KEYS[1], ARGV[2])
elseif number == found and found > 0 then
  redis.call('LSET', KEYS[1], -1, ARGV[2])
else
  return {tostring(found)}
end
return {}
"""

_HOLD: Final = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {'no'} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'yes'}
"""

_ANNOUNCE: Final = """
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. (now + tonumber(ARGV[3])))
return {}
"""

_ANNOUNCED: Final = """
local now = tonumber(redis.call('TIME')[1])
local all, living = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do
  local version, ends = string.match(all[at + 1], '(%d+) (%d+)')
  if tonumber(ends) > now then
    table.insert(living, all[at])
    table.insert(living, version)
  else
    redis.call('HDEL', KEYS[1], all[at])
  end
end
return living
"""

_LIVING: Final = f"{SPACE}:announced"


class _Client(Protocol):
    def register_script(self, script: str) -> Script: ...
    async def unlink(self, *names: str) -> int: ...
    async def hgetall(self, name: str) -> Mapping[bytes, bytes]: ...
    async def lrange(self, name: str, start: int, end: int) -> list[bytes]: ...
    async def llen(self, name: str) -> int: ...


class RedisTallies:
    """The port of `routing.tallies` on a Redis server."""

    def __init__(self, url: str) -> None:
        """Take a checked URL; nothing is connected before the first call."""
        self._link: Final = Link(url)
        client = cast("_Client", self._link.client)
        self._client: Final = client
        self._count: Final = client.register_script(_COUNT)
        self._write: Final = client.register_script(_WRITE)
        self._hold: Final = client.register_script(_HOLD)
        self._announce: Final = client.register_script(_ANNOUNCE)
        self._announced: Final = client.register_script(_ANNOUNCED)

    async def count(self, rollout: str, outcomes: Iterable[Counted]) -> None:
        """See the port."""
        lines = [
            msgspec.json.encode(
                (
                    *(each.stage, each.unit.hex()),
                    *(increments(each.outcome), REMEMBERED_SECONDS),
                )
            )
            for each in outcomes
        ]
        if lines:
            async with self._link.call():
                await self._count([_name(rollout)], lines)

    async def stage(self, rollout: str, stage: int) -> Stage:
        """See the port."""
        async with self._link.call():
            found = await self._client.hgetall(f"{_name(rollout)}:{stage}:counts")
        try:
            return stage_of({key.decode(): int(value) for key, value in found.items()})
        except ValueError as error:
            raise Corrupt(
                f"redis: the counts of {rollout} are not ours ({error})"
            ) from error

    async def forget(self, rollout: str, stages: int) -> None:
        """See the port."""
        names = [f"{_name(rollout)}:{stage}:units" for stage in range(stages)]
        async with self._link.call():
            await self._client.unlink(*names)

    async def write(self, rollout: str, entry: Entry) -> None:
        """See the port."""
        async with self._link.call():
            refused = await self._write(
                [f"{_name(rollout)}:records"], [str(entry.number).encode(), entry.body]
            )
        if refused:
            found = int(refused[0])
            raise Conflict(entry.number - 1, found, key=f"records of {rollout}")

    async def records(self, rollout: str, limit: int) -> list[Entry]:
        """See the port."""
        if limit < 1:
            return []
        name = f"{_name(rollout)}:records"
        async with self._link.call():
            # the length first: the list only grows, at its end
            newest = await self._client.llen(name)
            first = max(0, newest - limit)
            bodies = (
                await self._client.lrange(name, first, newest - 1) if newest else []
            )
        return [Entry(first + at, body) for at, body in enumerate(bodies, 1)][::-1]

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """See the port; the clock is the server's."""
        async with self._link.call():
            (held,) = await self._hold(
                [f"{SPACE}:lease:{name}"],
                [owner.encode(), str(int(seconds * 1000)).encode()],
            )
        return held == b"yes"

    async def announce(self, who: str, version: int, seconds: float) -> None:
        """See the port; whole seconds, by the server's clock."""
        arguments = [who.encode(), str(version).encode(), str(ceil(seconds)).encode()]
        async with self._link.call():
            await self._announce([_LIVING], arguments)

    async def announced(self) -> dict[str, int]:
        """See the port."""
        async with self._link.call():
            found = await self._announced([_LIVING], [])
        names = [name.decode() for name in found[::2]]
        return dict(zip(names, map(int, found[1::2]), strict=True))

    async def close(self) -> None:
        """See the port."""
        await self._link.close()


def _name(rollout: str) -> str:
    return f"{SPACE}:rollout:{rollout}"
