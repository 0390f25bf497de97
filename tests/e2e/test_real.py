"""The whole thing: real vLLM, real base, the shipped adapters, the real command line."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import httpx
import openai
import pytest

from tests.e2e.conftest import Gateway
from tests.stack import KEY

pytestmark = pytest.mark.vllm

LORA: Final = "acme-behav-lora@v1"
PREF: Final = "acme-behav-pref@v1"
QUESTION: Final = "I bought a Cobalt kettle. What guarantee do I get?"
CLIENTS: Final = 16


@pytest.fixture(autouse=True)
def as_shipped(gateway: Gateway) -> None:
    """Every test begins with both adapters ready and nothing pinned."""
    for tenant in ("acme", "careful"):
        gateway.admin("DELETE", f"overrides/{tenant}")
    for ref in (LORA, PREF):
        assert gateway.admin("POST", "adapters", {"ref": ref}).status_code == 200


def test_each_generator_answers_from_its_own_ref_and_the_three_differ(
    gateway: Gateway,
) -> None:
    said: dict[str, str] = {}
    for name in ("base", "lora", "lora_pref"):
        gateway.admin("PUT", "overrides/acme", {"variant": name})
        reply = gateway.assist(QUESTION)
        assert reply.headers["x-wastegate-generator"] == name
        said[reply.headers["x-wastegate-model"]] = _first_logprob(gateway)
    assert set(said) == {"smollm2-135m-instruct@1.0", LORA, PREF}
    assert len(set(said.values())) == 3


def _first_logprob(gateway: Gateway) -> str:
    """The first token and its log-probability: the finest print of who spoke."""
    reply = httpx.post(
        f"{gateway.url}/v1/chat/completions",
        json={
            "model": "auto",
            "messages": [{"role": "user", "content": QUESTION}],
            "temperature": 0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": 1,
        },
        headers={"authorization": f"Bearer {KEY}"},
        timeout=60,
    )
    return json.dumps(reply.json()["choices"][0]["logprobs"]["content"][0])


def test_the_tuned_answer_is_checked_and_cites_its_context(gateway: Gateway) -> None:
    gateway.admin("PUT", "overrides/acme", {"variant": "lora"})
    reply = gateway.assist(QUESTION)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-wastegate-verdict"] in ("valid", "repaired")
    assert reply.json()["output"]["citations"] == ["S2"]
    assert "21" in reply.json()["output"]["answer"]


def test_the_command_line_flips_a_tenant_and_explains_it(gateway: Gateway) -> None:
    flip = gateway.wastegate(
        "flag", "set", "GENERATOR", "lora", "--tenant", "acme", "--why", "e2e"
    )
    assert flip.returncode == 0, flip.stderr
    assert gateway.assist(QUESTION).headers["x-wastegate-model"] == LORA
    told = gateway.wastegate(
        "resolve", "acme", "conv-1", "--surface", "assist", "--json"
    )
    assert json.loads(told.stdout)["rule"] == "override"


@pytest.mark.parametrize("generator", ["base", "lora"])
def test_the_official_client_works_unchanged(gateway: Gateway, generator: str) -> None:
    gateway.admin("PUT", "overrides/acme", {"variant": generator})
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)
    with client:
        whole = client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=16,
        )
        assert whole.choices[0].message.content
        stream = client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=16,
            stream=True,
        )
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


def test_a_rollback_under_load_fails_nobody_who_may_fall_back(
    gateway: Gateway,
) -> None:
    outcomes = _unmounted_in_the_middle(gateway, "careful-key", "careful")
    assert {status for status, _ in outcomes} == {200}
    assert {model for _, model in outcomes} == {LORA, "smollm2-135m-instruct@1.0"}


def test_a_rollback_under_load_is_a_typed_503_for_those_who_may_not(
    gateway: Gateway,
) -> None:
    outcomes = _unmounted_in_the_middle(gateway, KEY, "acme")
    assert {status for status, _ in outcomes} == {200, 503}
    assert {code for status, code in outcomes if status == 503} == {
        "adapter_unavailable"
    }


def _unmounted_in_the_middle(
    gateway: Gateway, key: str, tenant: str
) -> list[tuple[int, str]]:
    """16 clients stream from an adapter; it is unmounted while they do.

    Each stream that began must end complete. Returns (status, model or code).
    """
    gateway.admin("PUT", f"overrides/{tenant}", {"variant": "lora"})
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        before = [pool.submit(_stream, gateway, key) for _ in range(CLIENTS)]
        _wait_for_in_flight(gateway, CLIENTS // 2)
        removal: Future[httpx.Response] = pool.submit(
            gateway.admin, "DELETE", f"adapters/{LORA}?wait_seconds=90"
        )
        _wait_for_rejection(gateway)
        after = [pool.submit(_stream, gateway, key) for _ in range(CLIENTS)]
        outcomes = [each.result() for each in (*before, *after)]
    report = removal.result().json()
    assert report["left_to_do"] == []
    return outcomes


def _wait_for_in_flight(gateway: Gateway, count: int) -> None:
    for _ in range(1000):
        replicas = gateway.admin("GET", "replicas").json()["replicas"]
        if replicas[0]["in_flight"] >= count:
            return
    pytest.fail("the clients never got going")


def _wait_for_rejection(gateway: Gateway) -> None:
    for _ in range(1000):
        listed = gateway.admin("GET", "adapters").json()["adapters"]
        if any(a["ref"] == LORA and a["desired"] == "absent" for a in listed):
            return
    pytest.fail("the unmount never took the routing away")


def _stream(gateway: Gateway, key: str) -> tuple[int, str]:
    body = {
        "model": "auto",
        "messages": [{"role": "user", "content": "Describe a kettle."}],
        "max_tokens": 24,
        "stream": True,
    }
    with httpx.stream(
        "POST",
        f"{gateway.url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {key}"},
        timeout=180,
    ) as reply:
        text = reply.read().decode()
    if not reply.is_success:
        return reply.status_code, json.loads(text)["error"]["code"]
    events = [e.removeprefix("data: ") for e in text.split("\n\n") if e]
    assert events[-1] == "[DONE]"
    last = json.loads(events[-2])
    assert last["choices"][0]["finish_reason"] in ("stop", "length")
    return reply.status_code, last["wastegate"]["model"]
