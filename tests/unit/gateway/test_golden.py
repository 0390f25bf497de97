"""Golden values of a manifest, against what a replica says."""

from pathlib import Path

import msgspec
import pytest

from adapters.golden import Golden, Said
from adapters.registry import Registry
from gateway.control.proof import FINGERPRINT, TOLERANCE
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_answers import Asked, default_answer, logprob, tokens
from gateway.engine.fake_quirks import Quirks
from tests.stack import configuration, running
from tests.unit.adapters.making import run, write_adapter

REF = "acme-behav-lora@v1"
PROBE = "Summarise the context."


def said(adapter: str | None, off: float = 0.0) -> Said:
    asked = Asked(adapter or "base", adapter, (("user", PROBE),))
    first = tokens(default_answer(asked))[0]
    return Said(first, logprob(adapter, first) - off)


GOLDEN = Golden(said(None), said(REF))
CASES: list[tuple[Golden, str]] = [
    (GOLDEN, ""),
    (Golden(said(None, off=0.1), said(REF, off=-0.1)), ""),
    (Golden(said(None, off=1.0), said(REF)), "on probe 1 the base says 'This'"),
    (Golden(said(None), said(REF, off=1.0)), "on probe 1 the adapter says"),
    (Golden(said(None), Said("Zebra", -0.1)), "and said 'Zebra' at -0.10 when it was"),
]


@pytest.mark.parametrize(("golden", "why"), CASES)
async def test_an_adapter_is_ready_only_if_a_replica_says_what_its_maker_saw(
    tmp_path: Path, golden: Golden, why: str
) -> None:
    facts = run(REF, probes=(PROBE,), golden=(golden,))
    write_adapter(tmp_path / "made", facts=facts)
    Registry(tmp_path / "adapters").add(tmp_path / "made")
    async with FakeVllm() as fake, running(configuration([fake.url], tmp_path)) as on:
        await on.until({"ready", "quarantined"}, REF)
        reply = await on.admin("POST", "adapters", {"ref": REF, "wait_seconds": 10})
        assert reply.status == (409 if why else 200), reply.body
        if why:
            message = reply.json["error"]["message"]
            assert why in message
            assert "another base, or other bytes" in message


async def test_a_replica_whose_weights_went_wrong_in_a_restart_is_quarantined(
    tmp_path: Path,
) -> None:
    facts = run(REF, probes=(PROBE,), golden=(GOLDEN,))
    write_adapter(tmp_path / "made", facts=facts)
    Registry(tmp_path / "adapters").add(tmp_path / "made")
    async with FakeVllm() as fake, running(configuration([fake.url], tmp_path)) as on:
        await on.until({"ready"}, REF)
        fake.quirks = Quirks(answer=lambda _: "Zebra, says this engine.")
        await fake.restart()
        await on.until({"quarantined"}, REF)


async def test_a_replica_that_has_proved_an_adapter_is_asked_little_until_it_restarts(
    tmp_path: Path,
) -> None:
    probes = ("Summarise the whole of the context.", PROBE)
    write_adapter(tmp_path / "made", facts=run(REF, probes=probes))
    Registry(tmp_path / "adapters").add(tmp_path / "made")
    async with FakeVllm() as fake, running(configuration([fake.url], tmp_path)) as on:
        everything = [*probes, FINGERPRINT]
        await on.until({"ready"}, REF)
        assert asked(fake) == everything
        for _ in range(2):
            await on.admin("DELETE", f"adapters/{REF}")
            asked(fake)
            assert (await on.admin("POST", "adapters", {"ref": REF})).status == 200
            assert asked(fake) == [FINGERPRINT]
        await fake.restart()
        await on.seen(fake.epoch)
        await on.until({"ready"}, REF)
        assert asked(fake) == everything


async def test_a_short_look_that_did_not_tell_the_adapter_from_the_base_proves_nothing(
    tmp_path: Path,
) -> None:
    write_adapter(tmp_path / "made", facts=run(REF, probes=(PROBE,)))
    Registry(tmp_path / "adapters").add(tmp_path / "made")
    alike = next(
        word
        for word in map(str, range(10_000))
        if abs(logprob(None, word) - logprob(REF, word)) < TOLERANCE
    )
    quirks = Quirks(
        answer=lambda asked: (
            alike if asked.user == FINGERPRINT else default_answer(asked)
        )
    )
    async with (
        FakeVllm(quirks=quirks) as fake,
        running(configuration([fake.url], tmp_path)) as on,
    ):
        await on.until({"ready"}, REF)
        await on.admin("DELETE", f"adapters/{REF}")
        asked(fake)
        assert (await on.admin("POST", "adapters", {"ref": REF})).status == 200
        assert asked(fake) == [PROBE]


async def test_other_weights_under_a_known_name_are_found_by_the_short_look(
    tmp_path: Path,
) -> None:
    write_adapter(tmp_path / "made", facts=run(REF, probes=(PROBE,)))
    Registry(tmp_path / "adapters").add(tmp_path / "made")
    async with FakeVllm() as fake, running(configuration([fake.url], tmp_path)) as on:
        await on.until({"ready"}, REF)
        await on.admin("DELETE", f"adapters/{REF}")
        fake.quirks = Quirks(
            answer=lambda asked: "Zebra" if asked.adapter else default_answer(asked)
        )
        reply = await on.admin("POST", "adapters", {"ref": REF, "wait_seconds": 10})
        assert reply.status == 409
        assert "the adapter says 'Zebra'" in reply.json["error"]["message"]


def asked(fake: FakeVllm) -> list[str]:
    """What the fake was asked since the last call, each once."""
    said = [
        msgspec.convert(seen.body["messages"], list[dict[str, str]])
        for seen in fake.completions
    ]
    fake.requests.clear()
    return list(dict.fromkeys(each[-1]["content"] for each in said))
