"""One suite for both stores: whatever holds for the port holds for each of them."""

import asyncio
import hashlib
from datetime import timedelta, timezone

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from routing.audit import verify
from routing.errors import ChainError, Conflict, StoreError
from routing.store import Change, Store
from routing.stores import open_store
from tests.contract.store.counting import AT, WHY, consistent, increment


async def test_a_store_begins_empty(store: Store) -> None:
    assert await store.get("flags/GENERATOR") is None
    assert await store.version() == 0
    assert await store.audit(10) == []


async def test_what_was_put_is_what_is_got(store: Store) -> None:
    put = await store.put("flags/GENERATOR", b"{}", expect=0, entry=WHY)
    assert (put.key, put.version, put.body) == ("flags/GENERATOR", 1, b"{}")
    assert await store.get("flags/GENERATOR") == put


async def test_a_document_counts_its_own_changes_and_the_store_all_of_them(
    store: Store,
) -> None:
    await store.put("a", b"1", expect=0, entry=WHY)
    await store.put("a", b"2", expect=1, entry=WHY)
    assert (await store.put("b", b"1", expect=0, entry=WHY)).version == 1
    assert await store.version() == 3


@pytest.mark.parametrize("expect", [0, 2, 7])
async def test_a_stale_write_is_a_conflict_that_changes_nothing(
    store: Store, expect: int
) -> None:
    await store.put("a", b"1", expect=0, entry=WHY)
    with pytest.raises(Conflict, match="version 1, not") as caught:
        await store.put("a", b"2", expect=expect, entry=WHY)
    assert (caught.value.expected, caught.value.found) == (expect, 1)
    found = await store.get("a")
    assert found is not None
    assert found.body == b"1"
    assert await store.version() == 1
    assert len(await store.audit(10)) == 1


async def test_a_document_can_skip_versions_and_never_goes_back(store: Store) -> None:
    put = await store.put("a", b"1", expect=0, entry=WHY, version=7)
    assert put.version == 7
    assert await store.get("a") == put
    assert (await store.put("a", b"2", expect=7, entry=WHY)).version == 8
    with pytest.raises(StoreError, match="not above 8"):
        await store.put("a", b"3", expect=8, entry=WHY, version=8)
    assert await store.version() == 2
    verify(await store.audit(10))


async def test_a_write_to_a_document_that_is_not_there_is_a_conflict(
    store: Store,
) -> None:
    with pytest.raises(Conflict) as caught:
        await store.put("a", b"1", expect=3, entry=WHY)
    assert (caught.value.expected, caught.value.found) == (3, 0)


async def test_the_audit_log_tells_who_changed_what_from_what_to_what_and_why(
    store: Store,
) -> None:
    vienna = timezone(timedelta(hours=1))
    later = Change("bob", "kill", "adherence 0.91\0\n", AT.astimezone(vienna))
    await store.put("a", b"1", expect=0, entry=WHY)
    await store.put("a", b"2", expect=1, entry=later)
    newest, oldest = await store.audit(10)
    assert (oldest.seq, oldest.who, oldest.what, oldest.why, oldest.key) == (
        *(1, "alice", "flag set", "canary of v1", "a"),
    )
    assert (oldest.before, oldest.after) == (None, b"1")
    assert (newest.seq, newest.who, newest.what, newest.why) == (
        *(2, "bob", "kill", "adherence 0.91\0\n"),
    )
    assert (newest.before, newest.after) == (b"1", b"2")
    assert newest.at == oldest.at == AT


async def test_the_audit_log_gives_the_newest_entries_first_up_to_the_limit(
    store: Store,
) -> None:
    for version in range(5):
        await store.put("a", b"x", expect=version, entry=WHY)
    assert [entry.seq for entry in await store.audit(2)] == [5, 4]
    assert [entry.seq for entry in await store.audit(99)] == [5, 4, 3, 2, 1]
    assert await store.audit(0) == await store.audit(-1) == []
    assert len(await store.audit(10**30)) == 5


async def test_the_audit_log_is_a_chain_that_shows_a_changed_entry(
    store: Store,
) -> None:
    for version in range(4):
        await store.put("a", bytes([version]), expect=version, entry=WHY)
    entries = await store.audit(10)
    assert verify(entries) == entries[0].digest
    assert verify(entries[:2], previous=entries[2].digest, start=3)
    forged = msgspec.structs.replace(entries[2], who="mallory")
    with pytest.raises(ChainError) as caught:
        verify([*entries[:2], forged, entries[3]])
    assert caught.value.seq == 2
    with pytest.raises(ChainError, match="missing"):
        verify([*entries[:2], entries[3]])


async def test_both_stores_chain_the_same_changes_to_the_same_digest(
    store: Store,
) -> None:
    await store.put("flags/GENERATOR", b"{}", expect=0, entry=WHY)
    entries = await store.audit(1)
    body = hashlib.sha256(b"{}").hexdigest()
    canonical = (
        '[1,"2026-11-22T21:00:00.123456+00:00","alice","flag set","canary of v1",'
        f'"flags/GENERATOR",null,"{body}"]'
    )
    expected = hashlib.sha256(("0" * 64 + "\n" + canonical).encode()).hexdigest()
    assert entries[0].digest == expected


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=st.binary(max_size=3000), key=st.text(min_size=1, max_size=50))
async def test_any_bytes_come_back_as_they_went_in(
    store: Store, body: bytes, key: str
) -> None:
    old = await store.get(key)
    new = await store.put(key, body, expect=old.version if old else 0, entry=WHY)
    assert await store.get(key) == new
    assert new.body == body
    entry = (await store.audit(1))[0]
    assert (entry.key, entry.after) == (key, body)
    assert entry.before == (old.body if old else None)


@pytest.mark.parametrize("key", ["", "x" * 201, "\ud800"])
async def test_a_key_that_cannot_be_held_everywhere_is_refused(
    store: Store, key: str
) -> None:
    with pytest.raises(StoreError, match="no document key"):
        await store.put(key, b"", expect=0, entry=WHY)


async def test_reopening_keeps_everything(url: str) -> None:
    first = open_store(url)
    await first.put("a", b"1", expect=0, entry=WHY)
    await first.put("a", b"2", expect=1, entry=WHY)
    log = await first.audit(10)
    await first.close()
    second = open_store(url)
    found = await second.get("a")
    assert found is not None
    assert (found.version, found.body) == (2, b"2")
    assert await second.version() == 2
    assert await second.audit(10) == log
    await second.close()


async def test_a_closed_store_refuses_with_a_typed_error(url: str) -> None:
    closed = open_store(url)
    await closed.put("a", b"1", expect=0, entry=WHY)
    await closed.close()
    await closed.close()
    with pytest.raises(StoreError, match="closed"):
        await closed.get("a")


async def test_concurrent_writers_lose_nothing(url: str) -> None:
    stores = [open_store(url) for _ in range(4)]
    await asyncio.gather(*(increment(each, "n", 10) for each in stores))
    found = await stores[0].get("n")
    assert found is not None
    assert (found.version, found.body) == (40, b"40")
    await consistent(stores[1])
    for each in stores:
        await each.close()


async def test_writers_of_different_documents_do_not_conflict(url: str) -> None:
    stores = [open_store(url) for _ in range(4)]
    await asyncio.gather(
        *(increment(each, f"n{at}", 10) for at, each in enumerate(stores))
    )
    assert await stores[0].version() == 40
    await consistent(stores[0])
    for each in stores:
        await each.close()


async def test_the_version_never_goes_back_while_others_write(url: str) -> None:
    watcher, writer = open_store(url), open_store(url)
    task = asyncio.create_task(increment(writer, "n", 30))
    seen = [await watcher.version()]
    while seen[-1] < 30:
        seen.append(await watcher.version())
    assert seen == sorted(seen)
    await task
    await watcher.close()
    await writer.close()
