"""The present: swapped whole, and never behind a local decision to stop."""

import itertools

import msgspec

from gateway.live import LEASE_SECONDS, Live, Present, Unheard
from routing.decision import Query
from routing.flags import FlagDocument
from routing.rollout import Plan, Rollout
from routing.rules import Kill, RolloutRule, Target

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


RUNNING = Rollout(
    "ro-1", Plan(Target("lora", "a@v1")), begun=0.0, phase="canary", step=0
)
ROLLED_OUT = Present(
    FlagDocument(
        rollouts=(RolloutRule("ro-1", RUNNING.plan.candidate, weight=10_000),)
    ),
    flags_version=3,
    mounted=frozenset({"a@v1"}),
    rollouts={"ro-1": RUNNING},
)


def test_a_rollout_that_is_rolled_back_here_is_over_before_the_store_hears_of_it() -> (
    None
):
    live = Live(ROLLED_OUT, lambda: 0.0)
    live.heard(0.0)
    assert live.resolve(ANYONE).model == "a@v1"
    live.roll_back("ro-1", "enough")
    assert live.resolve(ANYONE).generator == "base"
    assert live.present.rollouts["ro-1"].phase == "rolled_back"
    assert live.stored.rollouts["ro-1"].phase == "canary"
    live.replace(msgspec.structs.replace(ROLLED_OUT, flags_version=4))
    assert live.unheard.rolled_back == {"ro-1": "enough"}


def test_it_is_no_longer_only_here_once_the_store_has_neither_rule_nor_run() -> None:
    live = Live(ROLLED_OUT)
    live.roll_back("ro-1", "enough")
    live.replace(msgspec.structs.replace(ROLLED_OUT, flags=FlagDocument()))
    assert live.unheard.rolled_back == {
        "ro-1": "enough"
    }  # it is still written down as running
    over = RUNNING.after("rolled_back", 1.0, why="enough")
    written = Present(FlagDocument(), flags_version=4, rollouts={"ro-1": over})
    live.replace(written)
    assert live.unheard.rolled_back == {}
    assert live.present.rollouts["ro-1"].ended == "enough"


def test_a_follower_rolls_back_with_the_one_that_decides() -> None:
    follower = Live(ROLLED_OUT, lambda: 0.0)
    follower.heard(0.0)
    follower.order(Unheard(rolled_back={"ro-1": "enough"}))
    assert follower.resolve(ANYONE).generator == "base"
    follower.order(Unheard())  # the store has it there, and not here yet
    assert follower.resolve(ANYONE).generator == "base"
