"""OFREP on the control plane, with the provider that OpenFeature publishes."""

import asyncio
from typing import Any

import pytest
from openfeature.contrib.provider.ofrep import (  # pyright: ignore[reportMissingTypeStubs]  # has none
    OFREPProvider,
)
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]  # has none
    EvaluationContext,
)
from openfeature.exception import (  # pyright: ignore[reportMissingTypeStubs]  # has none
    FlagNotFoundError,
    InvalidContextError,
    OpenFeatureError,
)

from tests.stack import READ_KEY, Reply, Stack
from tests.unit.gateway.test_routing import flags

PATH = "/ofrep/v1/evaluate/flags"


def provider(stack: Stack, key: str = READ_KEY) -> OFREPProvider:
    headers = {"authorization": f"Bearer {key}"}
    return OFREPProvider(stack.admin_url, headers_factory=lambda: headers)


async def resolved(
    stack: Stack, flag: str = "GENERATOR", key: str = READ_KEY, **context: Any
) -> Any:
    """What the published provider makes of it, in a thread since it blocks."""
    unit = context.pop("unit", None)
    return await asyncio.to_thread(
        provider(stack, key).resolve_string_details,
        flag,
        "the caller's default",
        EvaluationContext(unit, context),
    )


async def test_the_published_provider_gets_what_a_request_would_get(
    stack: Stack,
) -> None:
    await flags(stack, lora=5_000, salt="r17")
    seen: set[str] = set()
    for number in range(12):
        unit = f"conv-{number}"
        details = await resolved(stack, unit=unit, tenant="acme", surface="assist")
        reply = await stack.assist(conversation=unit)
        assert (
            details.value == details.variant == reply.headers["X-Wastegate-Generator"]
        )
        assert details.reason == "SPLIT"
        assert details.flag_metadata["rule"] == "percentage"
        assert 0 <= details.flag_metadata["bucket"] < 10_000
        seen.add(details.value)
    assert seen == {"base", "lora"}


async def test_a_kill_gives_the_base_and_not_the_callers_default(stack: Stack) -> None:
    await flags(stack, default="lora")
    await stack.admin("POST", "kill", {"scope": "tenant", "name": "acme"})
    details = await resolved(stack, tenant="acme")
    assert (details.value, details.reason) == ("base", "DISABLED")


async def test_what_cannot_be_evaluated_is_the_providers_own_error(
    stack: Stack,
) -> None:
    with pytest.raises(FlagNotFoundError, match="GENERATOR"):
        await resolved(stack, flag="OTHER", tenant="acme")
    with pytest.raises(InvalidContextError, match="tenant"):
        await resolved(stack, unit="conv-1")
    with pytest.raises(OpenFeatureError, match="unauthorized"):
        await resolved(stack, key="wrong", tenant="acme")


async def evaluated(stack: Stack, body: Any, **headers: str) -> Reply:
    return await stack.admin("POST", PATH, body, key=READ_KEY, **headers)


async def test_all_flags_have_an_etag_that_changes_with_the_answer(
    stack: Stack,
) -> None:
    body = {"context": {"tenant": "acme", "targetingKey": "conv-1"}}
    first = await evaluated(stack, body)
    assert [each["key"] for each in first.json["flags"]] == ["GENERATOR"]
    tag = first.headers["ETag"]
    again = await evaluated(stack, body, if_none_match=tag)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    await flags(stack, default="lora")
    changed = await evaluated(stack, body, if_none_match=tag)
    assert (changed.status, changed.json["flags"][0]["value"]) == (200, "lora")
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("body", "code", "details"),
    [
        ({}, "INVALID_CONTEXT", "context"),
        ({"context": {}}, "INVALID_CONTEXT", "tenant"),
        ({"context": {"tenant": 7}}, "INVALID_CONTEXT", "str"),
        ({"context": {"tenant": "a/b", "targetingKey": "u"}}, "INVALID_CONTEXT", "'/'"),
        (
            {"context": {"tenant": "a", "targetingKey": "u\n"}},
            "INVALID_CONTEXT",
            "targetingKey",
        ),
        ({"context": {"tenant": "a" * 70_000}}, "PARSE_ERROR", "at most"),
    ],
)
async def test_a_context_that_cannot_be_is_refused_in_ofreps_words(
    stack: Stack, body: Any, code: str, details: str
) -> None:
    await flags(stack, lora=500)
    for path in (PATH, f"{PATH}/GENERATOR"):
        reply = await stack.admin("POST", path, body, key=READ_KEY)
        assert (reply.status, reply.json["errorCode"]) == (400, code)
        assert details in reply.json["errorDetails"]


async def test_what_is_not_json_is_a_parse_error(stack: Stack) -> None:
    auth = {"authorization": f"Bearer {READ_KEY}"}
    url = f"{stack.admin_url}{PATH}/GENERATOR"
    for raw in (b"", b"{", b"\xff"):
        async with stack.http.post(url, headers=auth, data=raw) as answer:
            reply = await Reply.of(answer)
        assert (reply.status, reply.json["errorCode"]) == (400, "PARSE_ERROR")
