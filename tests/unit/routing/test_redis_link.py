"""The bound around a call to Redis, without one."""

import asyncio

import pytest
from redis import exceptions as foreign

from routing.errors import Unavailable
from routing.stores.redis_link import Link


def link() -> Link:
    return Link("redis://127.0.0.1:1")


@pytest.mark.parametrize("instead", [None, foreign.ConnectionError("gone")])
async def test_a_cancellation_that_the_client_swallows_ends_the_task_all_the_same(
    instead: Exception | None,
) -> None:
    async def swallowing() -> None:
        async with link().call():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if instead:
                    raise instead from None

    task = asyncio.create_task(swallowing())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_call_that_takes_too_long_is_no_cancellation() -> None:
    with pytest.raises(Unavailable, match="no answer within"):
        async with link().call(0.001):
            await asyncio.sleep(60)


async def test_a_task_that_was_cancelled_before_may_still_tidy_up() -> None:
    async def tidying() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            async with link().call():
                return "tidied"
        return ""

    task = asyncio.create_task(tidying())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "tidied"
