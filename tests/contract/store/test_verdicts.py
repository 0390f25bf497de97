"""What the evals say of adapters, in both stores: filed by one, read by all, audited."""

import asyncio
import time
from pathlib import Path

import pytest

from adapters.errors import ManifestError
from adapters.registry import Registered, Registry
from adapters.verdict import encode
from gateway.control.changes import Changes, Who
from gateway.control.documents import Refresher, plant, read
from gateway.control.verdicts import LOOK_SECONDS, Verdicts, document_key
from gateway.errors import BadRequest, StateConflict, StoreUnavailable
from gateway.live import Live, Present
from routing.flags import FlagDocument
from routing.store import Store
from routing.stores import open_store
from tests.contract.store.counting import AT, WHY, consistent
from tests.contract.store.redis_server import RedisServer
from tests.unit.adapters.making import run, write_adapter
from tests.verdicts import BASE, FAILED, LORA, UNSURE, verdict

SEED = Present(FlagDocument())


@pytest.fixture
def registered(tmp_path: Path) -> Registered:
    write_adapter(tmp_path / "made", facts=run(LORA))
    return Registry(tmp_path / "adapters").add(tmp_path / "made")


async def verdicts(store: Store) -> Verdicts:
    """What a gateway on this store files and reads by."""
    await plant(store, SEED, WHY)
    live = Live(SEED)
    changes = Changes(store, live, Refresher(store, live, SEED), lambda: AT)
    return Verdicts(store, changes, BASE)


async def test_a_verdict_is_read_as_it_was_filed_by_whoever_looks(
    store: Store, url: str, registered: Registered
) -> None:
    ours = await verdicts(store)
    assert await ours.of(registered.digest) is None
    made = verdict(LORA, registered.digest, FAILED, UNSURE)
    await ours.file(made, registered, Who("alice", "first suite"))
    other = open_store(url)
    theirs = await verdicts(other)
    assert await theirs.of(registered.digest) == made
    assert await theirs.words((registered.digest, "0" * 64)) == {
        registered.digest: "fail"
    }
    await other.close()


async def test_each_filing_is_in_the_audit_log_with_the_verdict_before_it(
    store: Store, registered: Registered
) -> None:
    ours = await verdicts(store)
    await ours.file(verdict(LORA, registered.digest, FAILED), registered, Who("alice"))
    passed = verdict(LORA, registered.digest)
    await ours.file(passed, registered, Who("bob", "trained on"))
    newest, before = await store.audit(2)
    assert (newest.what, newest.who, newest.why) == (
        f"verdict.pass {LORA}",
        "bob",
        "trained on",
    )
    assert before.what == f"verdict.fail {LORA}"
    assert (newest.before, before.before) == (before.after, None)
    assert await ours.of(registered.digest) == passed
    await consistent(store)


async def test_two_that_file_at_once_are_both_written_down(
    store: Store, registered: Registered
) -> None:
    ours = await verdicts(store)
    gates = ((FAILED,), (UNSURE,), ())
    await asyncio.gather(
        *(
            ours.file(verdict(LORA, registered.digest, *each), registered, Who("a"))
            for each in gates
        )
    )
    found = await store.get(document_key(registered.digest))
    assert found is not None
    assert found.version == len(gates)
    await consistent(store)


async def test_a_verdict_is_no_part_of_what_is_in_force(
    store: Store, registered: Registered
) -> None:
    ours = await verdicts(store)
    before = await read(store, SEED)
    await ours.file(verdict(LORA, registered.digest), registered, Who("alice"))
    assert await read(store, SEED) == before


async def test_what_is_about_something_else_is_refused_and_not_written(
    store: Store, registered: Registered
) -> None:
    ours = await verdicts(store)
    version = await store.version()
    digest = registered.digest
    for made, kind, param, says in (
        (verdict("other@v1", digest), BadRequest, "ref", "is on other@v1, not on"),
        (verdict(LORA, "0" * 64), StateConflict, "digest", f"is {digest} here"),
        (verdict(LORA, digest, base="x@2.0"), StateConflict, "base", f"serves {BASE}"),
    ):
        with pytest.raises(kind, match=says) as caught:
            await ours.file(made, registered, Who("alice"))
        assert caught.value.param == param
    assert await store.version() == version


async def test_what_another_version_wrote_is_no_verdict_and_is_filed_again(
    store: Store, registered: Registered
) -> None:
    ours = await verdicts(store)
    digest = registered.digest
    await store.put(document_key(digest), b'{"mood": "good"}', expect=0, entry=WHY)
    good = encode(verdict(LORA, "1" * 64))
    await store.put(document_key("1" * 64), good, expect=0, entry=WHY)
    with pytest.raises(ManifestError, match=f"^{document_key(digest)}: "):
        await ours.of(digest)
    assert await ours.words((digest, "1" * 64)) == {"1" * 64: "pass"}
    await ours.file(verdict(LORA, digest), registered, Who("alice"))
    assert await ours.words((digest,)) == {digest: "pass"}


@pytest.mark.redis
async def test_without_the_store_a_list_has_no_words_soon_and_a_look_is_refused(
    redis_server: RedisServer, redis_url: str, registered: Registered
) -> None:
    store = open_store(redis_url)
    ours = await verdicts(store)
    made = verdict(LORA, registered.digest)
    await ours.file(made, registered, Who("alice"))
    redis_server.kill()
    try:
        began = time.monotonic()
        assert await ours.words([registered.digest] * 20) == {}
        assert time.monotonic() - began < LOOK_SECONDS + 1
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await ours.of(registered.digest)
        with pytest.raises(StoreUnavailable, match="did not take"):
            await ours.file(made, registered, Who("alice"))
    finally:
        redis_server.start()
        await store.close()
