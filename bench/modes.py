"""Verdicts by mode on a real vLLM: free, asked again, bound to the schema.

The base model, which was never tuned to answer in JSON, is asked the same held-out
questions three times, through a gateway of its own with three surfaces. What comes out
is a table for docs/verdicts.md; the gateway's own word is what is counted. The vLLM should
serve nobody else meanwhile: another gateway's adapters would be unloaded.
"""

import asyncio
import hashlib
import os
import platform
import secrets
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import msgspec

from bench.errors import BenchError
from bench.processes import ROOT, Launch, free_ports, started
from evals.samples import Sample, load
from evals.statistics import rate

OUT: Final = Path("docs/verdicts.md")
SAMPLES: Final = Path("var/evals/heldout.jsonl")
QUESTIONS: Final = 100
AT_ONCE: Final = 16
TOKENS: Final = 96
WITHIN: Final = 600.0
"""Seconds for one answer: three generations, sixteen at a time, on two cores."""

RETRIES: Final = 60
BAD_GATEWAY: Final = 502
READY: Final = 120.0
"""Seconds for a vLLM that has just been started."""

MODES: Final = {
    "free": 'mode = "free"\nreask = 0',
    "asked again": 'mode = "free"\nreask = 1',
    "last resort": 'mode = "free"\nreask = 1\nlast_resort = "constrained"',
    "constrained": 'mode = "constrained"\nreask = 0',
}
VERDICTS: Final = (
    "valid",
    "repaired",
    "reasked",
    "constrained",
    "invalid",
    "truncated",
)


class Told(NamedTuple):
    """What the gateway said of one answer."""

    verdict: str
    reason: str
    """Stage and code of a refusal."""
    tokens: int


def main(engine: str, count: int) -> int:
    """Ask, count, write; the exit code.

    Raises:
        BenchError: there is no engine, or there are no samples.
    """
    if not SAMPLES.is_file():
        raise BenchError(
            f"no {SAMPLES}; `make results` makes it, or see its first line"
        )
    samples = load(SAMPLES)[:count]
    with tempfile.TemporaryDirectory(prefix="wastegate-modes-") as directory:
        told = _asked(Path(directory), engine, samples)
    report = _report(told, len(samples))
    OUT.write_text(report, encoding="utf-8")
    sys.stdout.write(report)
    wrong = [one for one in told["constrained"] if one.verdict == "invalid"]
    return 1 if wrong else 0


def _asked(
    home: Path, engine: str, samples: tuple[Sample, ...]
) -> dict[str, list[Told]]:
    key = secrets.token_hex(16)
    data, admin = free_ports(2)
    config = home / "wastegate.toml"
    config.write_text(_configuration(home, engine, key, data, admin))
    arguments = (sys.executable, "-m", "gateway", "serve", "--config", str(config))
    launch = Launch("gateway", arguments, 0, data, home / "gateway.log")
    with started(launch):
        url = f"http://127.0.0.1:{data}"
        _await_ready(url)
        return {mode: asyncio.run(_mode(url, key, mode, samples)) for mode in MODES}


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + READY
    while not httpx.get(f"{url}/readyz", trust_env=False).is_success:
        if time.monotonic() > deadline:
            raise BenchError("the gateway sees no vLLM; --engine says where it is")
        time.sleep(0.1)


def _configuration(home: Path, engine: str, key: str, data: int, admin: int) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    admin_digest = hashlib.sha256(secrets.token_bytes(16)).hexdigest()
    surfaces = "\n".join(
        f'[surfaces.{_name(mode)}]\nschema = "{ROOT}/schemas/assist.json"\n{how}'
        for mode, how in MODES.items()
    )
    listed = ", ".join(f'"{_name(mode)}"' for mode in MODES)
    return f"""
[gateway]
listen = "127.0.0.1:{data}"
admin_listen = "127.0.0.1:{admin}"
state = "sqlite:{home}/state.db"
[admin]
key_sha256 = ["{admin_digest}"]
[engine]
replicas = ["{engine}"]
[engine.timeouts]
first_token = 300
between_chunks = 120
total = {WITHIN}
[limits]
request_seconds = {WITHIN}
[registry]
path = "{home}/adapters"
{surfaces}
[tenants.bench]
key_sha256 = ["{digest}"]
surfaces = [{listed}]
"""


def _name(mode: str) -> str:
    return mode.replace(" ", "-")


async def _mode(
    url: str, key: str, mode: str, samples: tuple[Sample, ...]
) -> list[Told]:
    gate = asyncio.Semaphore(AT_ONCE)
    done = 0
    limits = httpx.Limits(max_connections=AT_ONCE)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=WITHIN, limits=limits, trust_env=False
    ) as client:

        async def one(sample: Sample) -> Told:
            nonlocal done
            async with gate:
                told = await _told(client, mode, sample)
            done += 1
            if done % AT_ONCE == 0 or done == len(samples):
                sys.stderr.write(f"{mode}: {done} of {len(samples)}\n")
            return told

        return list(await asyncio.gather(*map(one, samples)))


async def _told(client: httpx.AsyncClient, mode: str, sample: Sample) -> Told:
    body = {
        "input": msgspec.to_builtins(sample.input),
        "surface": _name(mode),
        "temperature": 0,
        "max_tokens": TOKENS,
    }
    answer = await client.post("/v1/assist", json=body)
    for _ in range(RETRIES):
        if answer.status_code != BAD_GATEWAY or "x-wastegate-verdict" in answer.headers:
            break
        # a look at the engine took too long while both cores were busy
        await asyncio.sleep(1.0)
        answer = await client.post("/v1/assist", json=body)
    read: dict[str, Any] = answer.json()
    verdict = answer.headers.get("x-wastegate-verdict")
    if verdict is None:
        raise BenchError(f"no verdict: {answer.text[:300]}")
    refused = read.get("error")
    if refused is None:
        return Told(verdict, "", read["usage"]["completion_tokens"])
    tried = refused["attempts"][0]
    return Told(verdict, f"{tried['stage']}/{tried['code']}", 0)


def _report(told: dict[str, list[Told]], n: int) -> str:
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    lines = [
        "# Verdicts by mode",
        "",
        (
            f"Made on {today} by `python -m bench modes`: the base model on {n} held-out"
            f" questions, {AT_ONCE} at a time, temperature 0, at most {TOKENS} tokens a"
            f" generation; {_machine()}."
        ),
        "",
        "| surface | " + " | ".join(VERDICTS) + " | valid before any repair, 95 % |",
        "|---|" + "--:|" * (len(VERDICTS) + 1),
    ]
    for mode, each in told.items():
        counts = Counter(one.verdict for one in each)
        good = counts["constrained" if mode == "constrained" else "valid"]
        found = rate(good, len(each))
        cells = " | ".join(str(counts[verdict]) for verdict in VERDICTS)
        share = f"{found.point:.0%} [{found.low or 0:.1%}, {found.high or 1:.1%}]"
        lines.append(f"| {mode} | {cells} | {share} |")
    lines += ["", "Why the first output was refused, where the request was:", ""]
    for mode, each in told.items():
        reasons = Counter(one.reason for one in each if one.reason).most_common()
        text = ", ".join(f"{reason} {count}" for reason, count in reasons) or "-"
        lines.append(f"- {mode}: {text}")
    lines += [
        "",
        (
            "The two modes of decoding are never pooled: bound to a grammar, any model looks"
            " adherent, whatever its tune."
        ),
        "",
    ]
    return "\n".join(lines)


def _machine() -> str:
    return f"vLLM on {os.cpu_count()} cores, {platform.machine()}"
