"""The engines that the port's contract is checked against."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from gateway.engine.port import Replica, Timeouts
from gateway.engine.vllm import VllmReplica
from tests.contract.homes import one, other, place, s3, shared, weed

__all__ = ["one", "other", "place", "s3", "shared", "weed"]  # fixtures

NAME = "acme-contract@v1"
"""What the tests load, and all that is unloaded: the engine may serve others too."""
MODELS = Path(__file__).resolve().parents[2] / "models"


class Engine(msgspec.Struct, frozen=True):
    """An engine under test, and an adapter that it can load."""

    replica: Replica
    base: str
    name: str
    """Free for the adapter."""
    adapter: Path
    patience: float
    """Seconds within which it gets around to noticing things."""


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.vllm)])
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Engine]:
    if request.param == "fake":
        adapter = tmp_path / "adapter"
        adapter.mkdir()
        (adapter / "adapter_config.json").write_text("{}")
        async with FakeVllm(quirks=Quirks(chunk_delay=0.005)) as fake:
            replica = VllmReplica(fake.url, Timeouts(connect=30.0))
            yield Engine(replica, fake.base, NAME, adapter, patience=20.0)
            await replica.aclose()
        return
    real = request.getfixturevalue("real_vllm")
    replica = VllmReplica(real.url, Timeouts())
    yield Engine(replica, real.base, NAME, _shipped(tmp_path), patience=20.0)
    await replica.unload(NAME)
    await replica.aclose()


def _shipped(home: Path) -> Path:
    """The first adapter that the repository ships, staged as the gateway stages it."""
    from adapters.registry import Registry  # noqa: PLC0415 -- the fake needs none

    sources = sorted(path.parent for path in MODELS.glob("*/manifest.json"))
    if not sources:
        pytest.fail(
            f"{MODELS} holds no adapter; the repository ships some, which"
            " `python -m training` makes",
            pytrace=False,
        )
    return Registry(home / "registry").add(sources[0]).path
