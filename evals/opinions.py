"""Asks a judge: any server that speaks OpenAI's chat completions."""

import asyncio
from collections.abc import Iterable
from typing import Final

import httpx
import msgspec

from evals import judge
from evals.errors import TargetError
from evals.judge import Agreement, Opinion
from evals.result import Arm
from evals.samples import Sample

TIMEOUT: Final = httpx.Timeout(120.0, connect=5.0)
"""Seconds; a judge is a large model."""

RULES: Final = ("success", "supported", "style")
"""Measures that all have to be 1 for the rules to pass an answer."""


class Judge(msgspec.Struct, frozen=True):
    """Where a judge is."""

    url: str
    """Up to and without `/chat/completions`."""
    model: str
    key: str = ""
    concurrency: int = 4


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Chat(msgspec.Struct):
    choices: tuple[_Choice, ...] = ()


async def compared(
    given: Judge, arm: Arm, samples: Iterable[Sample], most: int
) -> Agreement:
    """Have a judge look at up to `most` delivered answers, and compare with the rules.

    Raises:
        TargetError: the judge cannot be asked; what it says is never an error.
    """
    asked = [
        sample
        for sample in sorted(samples, key=lambda sample: sample.digest)
        if sample.id in arm.answers and arm.answers[sample.id].text is not None
    ][:most]
    headers = {"authorization": f"Bearer {given.key}"} if given.key else {}
    gate = asyncio.Semaphore(given.concurrency)
    async with httpx.AsyncClient(
        timeout=TIMEOUT, headers=headers, trust_env=False
    ) as client:

        async def one(sample: Sample) -> tuple[Opinion, bool]:
            messages = judge.question(sample, arm.answers[sample.id])
            async with gate:
                return await _opinion(client, given, messages), _by_rules(arm, sample)

        return judge.agreement(await asyncio.gather(*map(one, asked)))


async def _opinion(
    client: httpx.AsyncClient, given: Judge, messages: tuple[dict[str, str], ...]
) -> Opinion:
    body = {"model": given.model, "messages": messages, "temperature": 0}
    url = f"{given.url.rstrip('/')}/chat/completions"
    try:
        response = await client.post(url, content=msgspec.json.encode(body))
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise TargetError("judge", f"{url}: {error or type(error).__name__}") from error
    try:
        chat = msgspec.json.decode(response.content, type=_Chat)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "nonsense"
    said = chat.choices[0].message.content if chat.choices else None
    return judge.read(said or "")


def _by_rules(arm: Arm, sample: Sample) -> bool:
    return all(arm.scores[rule].get(sample.id, 1.0) == 1 for rule in RULES)


def told(given: Judge, generator: str, found: Agreement) -> str:
    """Say how a judge stands to the rules, for the notes of a result."""
    kappa = "no kappa" if found.kappa is None else f"kappa {found.kappa:.2f}"
    return (
        f"the judge {given.model} agrees with the rules on {found.agreed} of {found.n}"
        f" answers of {generator} ({kappa}); {found.nonsense} times it gave no verdict,"
        " which counts for nothing"
    )
