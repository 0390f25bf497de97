"""A gateway in front of a fake vLLM, with two registered adapters."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.registry import Registry
from gateway.engine.fake import FakeVllm
from gateway.settings import Settings
from tests.stack import Stack, configuration, running
from tests.unit.adapters.making import run, tensors, write_adapter

LORA = "acme-behav-lora@v1"
PREF = "acme-behav-pref@v1"

Configured = Callable[..., Settings]


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
