"""Tenants, adapters and replicas that are kept apart."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from gateway.errors import SettingsError
from gateway.isolation import Isolation, Policy, serves
from tests.stack import Stack, configuration, running
from tests.unit.gateway.conftest import LORA, PREF, Configured
from tests.unit.gateway.test_assist import GOOD
from tests.unit.gateway.test_rollouts import PLAN
from tests.unit.gateway.test_routing import flags

EXTRA = """
[engine.regions]
"{eu}" = "eu"
"{us}" = "us"
[tenants.acme]
region = "eu"
[tenants.careful]
region = "us"
[adapters.acme-behav-lora]
tenants = ["acme"]
regions = ["eu"]
"""
CAREFUL = "careful-key"


class Apart(NamedTuple):
    """A gateway in front of an engine in each of two regions."""

    stack: Stack
    eu: FakeVllm
    us: FakeVllm

    def chats(self) -> tuple[int, int]:
        """How many questions each engine was asked."""
        return len(self.eu.completions), len(self.us.completions)


@pytest.fixture
async def apart(tmp_path: Path, registry: Path) -> AsyncIterator[Apart]:
    async with FakeVllm() as eu, FakeVllm() as us:
        settings = configuration(
            [eu.url, us.url],
            tmp_path,
            registry=registry,
            extra=EXTRA.format(eu=eu.url, us=us.url),
        )
        async with running(settings) as stack:
            await stack.all_ready()
            eu.quirks = us.quirks = Quirks(answer=lambda _: GOOD)
            yield Apart(stack, eu, us)


async def test_an_adapter_is_loaded_in_its_region_only(apart: Apart) -> None:
    assert set(apart.eu.adapters) == {LORA, PREF}
    assert set(apart.us.adapters) == {PREF}
    sent = [seen.path for seen in apart.us.requests if "load" in seen.path]
    assert sent == ["/v1/load_lora_adapter"]


async def test_a_mount_is_done_when_the_replicas_that_may_hold_it_are_ready(
    apart: Apart,
) -> None:
    await apart.stack.admin("DELETE", f"adapters/{LORA}")
    apart.eu.quirks = apart.us.quirks = Quirks()
    reply = await apart.stack.admin("POST", "adapters", {"ref": LORA})
    assert reply.status == 200, reply.body
    assert [each["url"] for each in reply.json["replicas"]] == [apart.eu.url]


async def test_requests_stay_in_their_tenants_region(apart: Apart) -> None:
    before = apart.chats()
    for _ in range(6):
        assert (await apart.stack.assist()).status == 200
    assert apart.chats() == (before[0] + 6, before[1])
    for _ in range(6):
        reply = await apart.stack.assist(key=CAREFUL)
        assert reply.status == 200
    assert apart.chats() == (before[0] + 6, before[1] + 6)


async def test_a_region_that_is_down_is_an_error_and_no_reason_to_leave_it(
    apart: Apart,
) -> None:
    await apart.eu.stop()
    before = len(apart.us.completions)
    for _ in range(3):
        reply = await apart.stack.assist()
        assert (reply.status, reply.code) == (502, "upstream_error")
    assert len(apart.us.completions) == before


async def test_a_private_adapter_answers_nobody_else(apart: Apart) -> None:
    await flags(apart.stack, default="lora")
    assert (await apart.stack.assist()).json["model"] == LORA
    reply = await apart.stack.assist(key=CAREFUL)
    assert reply.json["generator"] == "base"  # as its policy says
    assert "fallback=adapter_unavailable" in reply.json["reason"]


async def test_what_a_tenant_would_get_says_whether_it_can_be_had(
    apart: Apart,
) -> None:
    await flags(apart.stack, default="lora")

    async def ready(tenant: str) -> tuple[str, bool]:
        found = await apart.stack.admin("GET", f"resolve?tenant={tenant}&unit=c")
        return found.json["model"], found.json["ready"]

    assert await ready("acme") == (LORA, True)
    assert await ready("careful") == (LORA, False)
    await apart.eu.stop()
    async with asyncio.timeout(10):
        while await ready("acme") != (LORA, False):
            await asyncio.sleep(0.02)
    await flags(apart.stack, default="base")
    assert (await ready("acme"))[1] is False
    assert (await ready("careful"))[1] is True


async def test_a_stranger_without_a_fallback_fails_closed(
    configured: Configured,
) -> None:
    private = '[adapters.acme-behav-lora]\ntenants = ["careful"]\n'
    async with running(configured(private)) as stack:
        await stack.all_ready()
        await flags(stack, default="lora")
        reply = await stack.assist()
        assert (reply.status, reply.code) == (503, "adapter_unavailable")
        said = reply.json["error"]["message"]
        assert said == "lora means an adapter that is not for acme"
        told = f"{reply.body.decode()} {dict(reply.headers)}"
        assert LORA not in told
        assert "careful" not in told


@pytest.mark.parametrize(
    ("tenants", "why"),
    [([], f"{LORA} is not for careful"), (["careful"], f"{LORA} is not for careful")],
)
async def test_a_rollout_to_tenants_that_an_adapter_is_not_for_is_refused(
    apart: Apart, tenants: list[str], why: str
) -> None:
    plan = PLAN | {"tenants": tenants}
    body = {"plan": plan, "override": "a test", "why": "?"}
    reply = await apart.stack.admin("POST", "rollouts", body)
    assert reply.status in {400, 409}
    assert why in reply.json["error"]["message"]


def test_a_tenant_elsewhere_cannot_have_an_adapter_that_stays() -> None:
    kept = Isolation(
        {"acme-x": Policy(regions=frozenset({"eu"}))}, tenants={"a": "eu", "b": "us"}
    )
    assert kept.refuses("acme-x@v3", ["a"]) == ""
    assert kept.refuses("acme-x@v3", ["a", "b", "c"]) == (
        "acme-x@v3 stays in eu, and b elsewhere"
    )
    assert kept.refuses("acme-y@v3", ["a", "b"]) == ""


@pytest.mark.parametrize(
    ("tenant", "replica", "may"),
    [
        *(("", "", True), ("", "eu", True), ("eu", "eu", True)),
        *(("eu", "us", False), ("eu", "", False)),
    ],
)
def test_who_serves_whom(
    tenant: str,
    replica: str,
    may: bool,  # noqa: FBT001 -- an expected value
) -> None:
    assert serves(tenant, replica) is may


REFUSED = [
    ('[engine.regions]\n"http://127.0.0.1:1" = "eu"\n', "engine.regions", "is none of"),
    ('[tenants.acme]\nregion = "eu"\n', "tenants.acme.region", "no replica is in"),
    ('[adapters.x]\nregions = ["eu"]\n', "adapters.x.regions", "there is no `eu`"),
    ('[adapters.x]\ntenants = ["who"]\n', "adapters.x.tenants", "there is no `who`"),
    ('[adapters."x@v1"]\ntenants = ["acme"]\n', "adapters.x@v1", "no model ref"),
    ("[adapters.x]\ntenant = 1\n", "adapters", "unknown field"),
]


@pytest.mark.parametrize(("text", "path", "why"), REFUSED)
def test_a_policy_that_cannot_be_meant_is_refused_at_start(
    configured: Configured, text: str, path: str, why: str
) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        configured(text)
    assert path in str(caught.value)
