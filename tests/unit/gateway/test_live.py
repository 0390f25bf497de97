"""The present: swapped whole, and never behind a local decision to stop."""

import itertools

from gateway.live import LEASE_SECONDS, Live, Present, Unheard
from routing.decision import Query
from routing.flags import FlagDocument
from routing.rules import Kill

LORA = Present(
    FlagDocument(default="lora"),
    flags_version=3,
    bindings={"lora": "a@v1"},
    mounted=frozenset({"a@v1"}),
)
ANYONE = Query("acme", "assist", "conv-1")


def test_a_local_kill_holds_before_the_store_has_heard_of_it() -> None:
    live = Live(LORA)
    live.kill(Kill("global"))
    assert live.resolve(ANYONE).generator == "base"


def test_a_local_kill_survives_a_newer_document_without_it() -> None:
    live = Live(LORA)
    live.kill(Kill("tenant", "acme"))
    live.replace(Present(FlagDocument(default="lora"), flags_version=4))
    assert live.resolve(ANYONE).rule == "kill.tenant"


def test_a_kill_that_the_store_has_is_no_longer_local() -> None:
    live = Live(LORA)
    kill = Kill("global")
    live.kill(kill)
    live.heard_kill(kill)
    assert (live.unheard.kills, live.unheard.unmounted) == ((), frozenset())
    assert live.resolve(ANYONE).generator == "lora"


def test_an_older_document_never_replaces_a_newer_one() -> None:
    live = Live(LORA)
    live.replace(Present(FlagDocument(default="base"), flags_version=2))
    assert live.resolve(ANYONE).generator == "lora"


def test_a_local_unmount_holds_until_the_store_has_it() -> None:
    live = Live(LORA)
    live.unmount("a@v1")
    live.replace(LORA)
    assert "a@v1" not in live.present.mounted
    live.heard_unmount("a@v1")
    assert "a@v1" in live.present.mounted


def test_the_present_says_which_version_decided() -> None:
    assert Live(LORA).resolve(ANYONE).version == 3


def test_a_canary_is_served_only_while_the_store_is_heard_of() -> None:
    now = 100.0
    live = Live(Present(FlagDocument(lora=9_999), flags_version=1), lambda: now)
    assert (live.resolve(ANYONE).generator, live.stale) == ("base", True)
    live.heard(now)
    assert live.resolve(ANYONE).generator == "lora"
    now += LEASE_SECONDS
    assert live.resolve(ANYONE).generator == "lora"
    now += 0.001
    assert live.resolve(ANYONE).text == "STALE; rule=percentage; version=1"


def test_hearing_late_of_an_early_answer_does_not_shorten_the_lease() -> None:
    now = 100.0
    live = Live(Present(FlagDocument(lora=9_999)), lambda: now)
    live.heard(100.0)
    live.heard(90.0)
    assert not live.stale


def test_a_follower_holds_a_kill_until_the_store_has_told_it_too() -> None:
    leader, follower = Live(LORA), Live(LORA)
    kill = Kill("global")
    leader.watch(lambda: follower.order(leader.unheard))
    leader.kill(kill)
    assert follower.resolve(ANYONE).generator == "base"
    written = Present(FlagDocument(default="lora", kills=(kill,)), flags_version=4)
    leader.replace(written)
    leader.heard_kill(kill)
    assert follower.unheard.kills == (kill,)  # it has not read the store yet
    follower.replace(written)
    assert follower.unheard.kills == ()
    assert follower.resolve(ANYONE).rule == "kill.global"


def test_a_follower_never_serves_what_is_killed_whatever_comes_first() -> None:
    kill = Kill("global")
    killed = Present(FlagDocument(default="lora", kills=(kill,)), flags_version=4)
    dropped = Unheard(flags_version=4)
    for order in itertools.permutations(("read", "dropped", "read again")):
        follower = Live(LORA)
        follower.order(Unheard((kill,)))
        for what in order:
            if what == "dropped":
                follower.order(dropped)
            else:
                follower.replace(killed)
            assert follower.resolve(ANYONE).generator == "base", (order, what)
        assert follower.unheard.kills == ()


def test_a_follower_holds_an_unmount_until_the_store_has_told_it_too() -> None:
    follower = Live(LORA)
    follower.order(Unheard(unmounted=frozenset({"a@v1"})))
    follower.order(Unheard(mounted_version=1))
    assert follower.present.mounted == frozenset()
    follower.replace(Present(LORA.flags, flags_version=3, mounted_version=1))
    assert follower.unheard.unmounted == frozenset()


def test_a_successor_holds_what_is_news_to_the_store() -> None:
    known, news = Kill("tenant", "acme"), Kill("global")
    flags = FlagDocument(default="lora", kills=(known,))
    live = Live(Present(flags, flags_version=3, mounted=frozenset({"a@v1"})))
    live.adopt(Unheard((known, news), frozenset({"a@v1", "gone@v1"})))
    assert live.unheard.kills == (news,)
    assert live.unheard.unmounted == {"a@v1"}
