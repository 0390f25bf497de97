"""The fake itself: what other suites rely on."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import jsonschema_rs
import msgspec
import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from gateway.engine.port import Timeouts
from gateway.engine.vllm import VllmReplica
from gateway.errors import UpstreamError
from structured.prompt import AssistInput, ContextItem, render

ADAPTERS = ("acme-behav-lora@v1", "acme-behav-pref@v1")
ASSIST = Path(__file__).parents[3] / "schemas" / "assist.json"
GIVEN = AssistInput(
    user="When do we open?", context=(ContextItem("faq-7", "We open at nine."),)
)


class Asker:
    """Asks the fake and decodes what it says."""

    def __init__(self, replica: VllmReplica) -> None:
        self.replica = replica

    async def __call__(self, model: str, **more: object) -> dict[str, object]:
        messages = [{"role": m.role, "content": m.content} for m in render(GIVEN)]
        body = msgspec.json.encode({"model": model, "messages": messages, **more})
        raw = await self.replica.complete(body)
        answer = msgspec.json.decode(raw, type=dict[str, object])
        (choice,) = msgspec.convert(answer["choices"], list[dict[str, object]])
        message = msgspec.convert(choice["message"], dict[str, str])
        return {**answer, **choice, "text": message["content"]}


@pytest.fixture
async def fake() -> AsyncIterator[FakeVllm]:
    async with FakeVllm(mounted=ADAPTERS) as running:
        yield running


@pytest.fixture
async def ask(fake: FakeVllm) -> AsyncIterator[Asker]:
    replica = VllmReplica(fake.url, Timeouts())
    yield Asker(replica)
    await replica.aclose()


async def test_an_adapter_answers_valid_json_that_cites_the_context(ask: Asker) -> None:
    schema = jsonschema_rs.validator_for(json.loads(ASSIST.read_text()))
    for name in ADAPTERS:
        value = json.loads(str((await ask(name))["text"]))

        assert schema.is_valid(value)
        assert value["citations"] == ["faq-7"]
        assert name in value["answer"]


async def test_the_base_answers_prose_unless_it_is_constrained(ask: Asker) -> None:
    free = str((await ask("base"))["text"])
    bound = str((await ask("base", response_format={"type": "json_object"}))["text"])

    assert not free.startswith("{")
    assert json.loads(bound)["status"] == "ok"


async def test_the_same_question_gets_the_same_answer(ask: Asker) -> None:
    first, second = await ask("base", logprobs=True), await ask("base", logprobs=True)

    assert first["text"] == second["text"]
    assert first["logprobs"] == second["logprobs"]


async def test_log_probabilities_tell_the_models_apart_unless_one_is_silent(
    fake: FakeVllm, ask: Asker
) -> None:
    async def told() -> set[bytes]:
        answers = [await ask(m, logprobs=True) for m in ("base", *ADAPTERS)]
        return {msgspec.json.encode(answer["logprobs"]) for answer in answers}

    assert len(await told()) == 3

    fake.quirks = Quirks(silent=True)
    assert len(await told()) == 1
    assert (await ask(ADAPTERS[0]))["model"] == ADAPTERS[0]


async def test_a_token_budget_ends_the_answer_with_length(ask: Asker) -> None:
    answer = await ask("base", max_tokens=2)

    assert answer["finish_reason"] == "length"
    assert answer["text"] == "This is"


async def test_finish_reason_and_model_name_can_be_forged(
    fake: FakeVllm, ask: Asker
) -> None:
    fake.quirks = Quirks(finish_reason="abort", echoed_model="other")

    answer = await ask("base")

    assert (answer["finish_reason"], answer["model"]) == ("abort", "other")


async def test_it_keeps_what_it_was_sent(fake: FakeVllm, ask: Asker) -> None:
    await ask("base", temperature=0.5)

    (seen,) = fake.completions
    assert seen.body["temperature"] == 0.5
    assert seen.ended == "answered"


async def test_waiting_for_what_never_happens_is_an_error(fake: FakeVllm) -> None:
    with pytest.raises(TimeoutError):
        await fake.until(lambda: False, seconds=0.05)


def test_it_runs_from_a_shell() -> None:
    command = [sys.executable, "-m", "gateway.engine.fake", "--adapter", ADAPTERS[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 -- ourselves
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+", process.stdout.readline())
            assert url is not None
            with urllib.request.urlopen(f"{url[0]}/v1/models") as answer:  # noqa: S310 -- loopback
                assert ADAPTERS[0] in answer.read().decode()
        finally:
            process.terminate()


async def test_an_adapter_that_was_loaded_in_place_is_read_again_at_every_step(
    fake: FakeVllm, ask: Asker, tmp_path: Path
) -> None:
    config = tmp_path / "adapter_config.json"
    config.write_text("{}")
    url = f"{fake.url}/v1/load_lora_adapter"
    body = {"lora_name": "a@v1", "lora_path": str(tmp_path), "load_inplace": True}
    async with aiohttp.ClientSession() as http:
        for _ in range(2):  # a second time in place is no error either
            async with http.post(url, json=body) as reply:
                assert reply.status == 200
    assert (await ask("a@v1"))["model"] == "a@v1"
    config.unlink()
    with pytest.raises(UpstreamError, match="status 500"):
        await ask("a@v1")
    assert fake.quirks.unhealthy
