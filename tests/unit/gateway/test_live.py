"""The present: swapped whole, and never behind a local decision to stop."""

from gateway.live import LEASE_SECONDS, Live, Present
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
    assert live.unheard == ((), frozenset())
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
