"""Checked output on the real vLLM: streamed live, constrained, refused, and kept."""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from structured import kept
from structured.errors import ParseError
from structured.parse import parse
from tests.e2e.conftest import Gateway
from tests.stack import KEY

pytestmark = pytest.mark.vllm

QUESTION: Final = "I bought a Cobalt kettle. What guarantee do I get?"
WITHIN: Final = 20.0
NOTHING_FITS: Final = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": False},
}


@pytest.fixture(autouse=True)
def as_shipped(gateway: Gateway) -> None:
    """Every test begins with the tune ready and nothing pinned."""
    gateway.admin("DELETE", "overrides/acme")
    mounted = gateway.admin("POST", "adapters", {"ref": "acme-behav-lora@v1"})
    assert mounted.status_code == 200


def test_a_live_stream_of_the_tune_is_whole_only_with_its_last_delta(
    gateway: Gateway,
) -> None:
    gateway.admin("PUT", "overrides/acme", {"variant": "lora"})
    events = _live(gateway)
    assert events[-1] == "[DONE]"
    answer = json.loads(events[-2])
    deltas = [json.loads(event)["delta"] for event in events[:-2]]
    assert len(deltas) > 5
    for number in range(len(deltas)):
        assert not _is_json("".join(deltas[:number]))
    assert parse("".join(deltas).encode()) == answer["output"]
    assert answer["output"]["citations"] == ["S2"]


def test_a_live_stream_that_is_cut_ends_in_an_error_and_not_as_if_done(
    gateway: Gateway,
) -> None:
    gateway.admin("PUT", "overrides/acme", {"variant": "lora"})
    events = _live(gateway, max_tokens=16)
    assert json.loads(events[-1])["error"]["code"] == "output_truncated"
    deltas = [json.loads(event)["delta"] for event in events[:-1]]
    assert deltas
    assert not _is_json("".join(deltas))


def test_a_live_stream_that_no_answer_can_begin_with_is_refused_unsent(
    gateway: Gateway,
) -> None:
    gateway.admin("PUT", "overrides/acme", {"variant": "base"})
    reply = gateway.assist(QUESTION, surface="live", stream=True)
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "output_invalid")


def _live(gateway: Gateway, max_tokens: int = 96) -> list[str]:
    reply = gateway.assist(QUESTION, surface="live", stream=True, max_tokens=max_tokens)
    assert reply.status_code == 200, reply.text
    lines = [line for line in reply.text.split("\n\n") if line.startswith("data: ")]
    return [line.removeprefix("data: ") for line in lines]


def _is_json(text: str) -> bool:
    try:
        parse(text.encode())
    except ParseError:
        return False
    return True


def test_the_base_answers_by_the_schema_and_by_aliases_when_it_is_constrained(
    gateway: Gateway,
) -> None:
    gateway.admin("PUT", "overrides/acme", {"variant": "base"})
    reply = gateway.assist(QUESTION, surface="tight", max_tokens=160)
    if reply.status_code == 200:
        assert reply.headers["x-wastegate-verdict"] in ("constrained", "repaired")
        assert set(reply.json()["output"]["citations"]) <= {"S1", "S2"}
    else:
        # what a constrained answer may still be: cut off by its last token
        error = reply.json()["error"]
        assert error["code"] == "output_truncated", reply.text


def test_a_schema_that_nothing_fits_is_a_bad_request_and_harms_nobody(
    gateway: Gateway,
) -> None:
    for stream in (False, True):
        reply = httpx.post(
            f"{gateway.url}/v1/chat/completions",
            json={
                "model": "auto",
                "messages": [{"role": "user", "content": "Say hello."}],
                "max_tokens": 16,
                "stream": stream,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": NOTHING_FITS},
                },
            },
            headers={"authorization": f"Bearer {KEY}"},
            timeout=60,
        )
        assert reply.status_code == 400, reply.text
        assert "Unsatisfiable schema" in reply.json()["error"]["message"]
    assert gateway.assist("Hello?").status_code in (200, 502)
    assert httpx.get(f"{gateway.url}/readyz", timeout=5).is_success


def test_an_answer_and_what_was_said_of_it_are_kept_without_the_address(
    gateway: Gateway,
) -> None:
    gateway.admin("PUT", "overrides/acme", {"variant": "lora"})
    reply = gateway.assist(f"I am ann@example.org. {QUESTION}")
    assert reply.status_code == 200, reply.text
    request = reply.headers["x-request-id"]
    said = httpx.post(
        f"{gateway.url}/v1/feedback",
        json={"request_id": request, "rating": "up", "comment": "ann@example.org: ok"},
        headers={"authorization": f"Bearer {KEY}"},
        timeout=10,
    )
    assert said.status_code == 202, said.text
    output, feedback = _eventually(lambda: _lines_of(gateway, request))
    assert isinstance(output, kept.Output)
    assert output.input is not None
    assert output.input.user.startswith("I am <EMAIL_1>. I bought")
    assert output.repaired == reply.json()["output"]
    assert output.model == "acme-behav-lora@v1"
    assert isinstance(feedback, kept.Feedback)
    assert (feedback.of, feedback.comment) == (output.id, "<EMAIL_1>: ok")


def _lines_of(gateway: Gateway, request: str) -> list[Any]:
    files = sorted(gateway.kept.glob("*.jsonl"))
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [line for line in kept.read(lines).lines if line.request_id == request]


def _eventually(look: Callable[[], list[Any]]) -> list[Any]:
    deadline = time.monotonic() + WITHIN
    found: list[Any] = []
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            found = look()
        if len(found) == 2:
            return found
        time.sleep(0.1)
    pytest.fail(f"expected an output and its feedback, found {found}")
