"""Samples, a gateway's connection and a plan that the tests of the evals share."""

from collections.abc import Callable

import httpx
import pytest

from evals import gates
from evals.answers import Params
from evals.fake import FakeGateway
from evals.samples import Expected, Sample
from evals.suite import Plan
from evals.target import Target
from structured.prompt import AssistInput, ContextItem

Connect = Callable[[FakeGateway], Target]


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    def make(
        name: str = "s1",
        *,
        intent: str = "extract",
        status: str = "ok",
        cites: tuple[str, ...] = (),
        **more: object,
    ) -> Sample:
        context = tuple(ContextItem(f"kb-{i}", f"Fact {i}.") for i in range(3))
        expected = Expected(status, "Yes.", cites)  # type: ignore[arg-type]  -- tests write the literal out
        return Sample(name, intent, AssistInput("Well?", context), expected, **more)  # type: ignore[arg-type]  -- keyword arguments of a test

    return make


@pytest.fixture
def connect() -> Connect:
    def make(gateway: FakeGateway) -> Target:
        def client() -> httpx.AsyncClient:
            transport = httpx.ASGITransport(gateway)
            return httpx.AsyncClient(transport=transport, base_url="http://gateway")

        return Target(client(), client())

    return make


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    def make(samples: tuple[Sample, ...], **more: object) -> Plan:
        return Plan(
            samples=samples,
            gates=gates.load(),
            tenant="acme",
            params=Params("assist", 64),
            **more,  # type: ignore[arg-type]  -- keyword arguments of a test
        )

    return make
