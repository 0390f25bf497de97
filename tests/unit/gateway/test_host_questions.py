"""Questions for the rollouts of a local stack: made by the real command, once."""

from pathlib import Path

import msgspec
import pytest

from gateway.host import questions
from gateway.host.config import EngineSection, StackConfig, SurfaceSection
from gateway.host.errors import StepFailedError
from gateway.host.layout import Layout
from gateway.settings import Settings, Surface
from gateway.surfaces import probe_sets
from tests.stack import ROOT


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def config() -> StackConfig:
    surfaces = {"assist": SurfaceSection(schema="schemas/assist.json")}
    return StackConfig(EngineSection(("http://h:1",)), {}, surfaces=surfaces)


def test_the_gateway_reads_them_and_they_know_refusals_and_citations(
    layout: Layout, config: StackConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert questions.ensure(layout, config).startswith("120 questions")
    surface = Surface(schema="a.json", probes=str(layout.questions))
    probes = probe_sets(Settings(surfaces={"assist": surface}))["assist"]
    assert len(probes) == questions.COUNT
    assert {probe.output.status for probe in probes} == {"ok", "uncertain", "refused"}
    assert any(probe.output.citations for probe in probes)


def test_those_that_are_there_stay(layout: Layout, config: StackConfig) -> None:
    layout.questions.parent.mkdir(parents=True)
    layout.questions.write_text("mine\n")
    assert questions.ensure(layout, config) == "assist.jsonl is there"
    assert layout.questions.read_text() == "mine\n"


def test_none_are_made_where_no_surface_wants_them(
    layout: Layout, config: StackConfig
) -> None:
    none = msgspec.structs.replace(config, surfaces={"email": SurfaceSection()})
    assert questions.ensure(layout, none).startswith("no surface")
    assert not layout.questions.exists()


def test_a_failure_says_how_to_see_more_and_leaves_nothing(
    layout: Layout, config: StackConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(layout.root))
    (layout.root / "training.py").write_text("raise SystemExit('broken')")
    with pytest.raises(StepFailedError, match="broken") as failed:
        questions.ensure(layout, config)
    assert "-m training data" in failed.value.advice
    assert not layout.questions.exists()
