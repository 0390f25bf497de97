"""A gateway in front of a fake vLLM, with two registered adapters."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from adapters.registry import Registry
from gateway.__main__ import main
from gateway.engine.fake import FakeVllm
from gateway.settings import Settings
from tests.stack import ADMIN_KEY, Stack, configuration, running
from tests.unit.adapters.making import run, tensors, write_adapter

LORA = "acme-behav-lora@v1"
PREF = "acme-behav-pref@v1"

Configured = Callable[..., Settings]
Commands = Callable[..., Awaitable[tuple[int, str, str]]]
"""Runs the command line: its exit code, and what it said on both streams."""


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A registry that holds both adapters."""
    root = tmp_path / "adapters"
    for number, ref in enumerate((LORA, PREF)):
        source = tmp_path / f"made-{number}"
        write_adapter(source, given=tensors(), facts=run(ref, seed=number))
        Registry(root).add(source)
    return root


@pytest.fixture
def configured(tmp_path: Path, registry: Path, fake_vllm: FakeVllm) -> Configured:
    """Settings for a gateway in front of the fake."""

    def settings(extra: str = "") -> Settings:
        return configuration([fake_vllm.url], tmp_path, registry=registry, extra=extra)

    return settings


@pytest.fixture
async def stack(configured: Configured) -> AsyncIterator[Stack]:
    """A gateway whose adapters are ready."""
    async with running(configured()) as stack:
        await stack.all_ready()
        yield stack


@pytest.fixture
def commands(
    stack: Stack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    """The command line, pointed at the gateway."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WASTEGATE_ADMIN_URL", stack.admin_url)
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", ADMIN_KEY)
    monkeypatch.setenv("COLUMNS", "200")

    async def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(main, list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
