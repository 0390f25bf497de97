from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from adapters.card import render, write
from adapters.claims import Cost, Source
from adapters.manifest import About, BaseModel, Data, Manifest, Metric, load
from adapters.refs import AdapterRef, BaseRef
from adapters.sealing import seal
from tests.unit.adapters import making

SHIPPED = sorted((Path(__file__).parents[3] / "models").iterdir())


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return making.write_adapter(tmp_path)


def _front(card: str) -> dict[str, Any]:
    assert card.startswith("---\n")
    return yaml.safe_load(card.split("\n---\n", maxsplit=1)[0])


def test_the_front_matter_is_what_the_hub_reads(manifest: Manifest) -> None:
    front = _front(render(manifest))
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "peft"
    assert front["base_model"] == "smollm2-135m-instruct@1.0"
    assert "lora" in front["tags"]


def test_only_metrics_on_a_named_data_set_reach_the_model_index(
    manifest: Manifest,
) -> None:
    (model,) = _front(render(manifest))["model-index"]
    (result,) = model["results"]
    assert result["dataset"]["name"] == "held-out"
    assert result["metrics"] == [
        {"type": "adherence", "name": "adherence", "value": 0.98}
    ]


def test_a_card_without_metrics_has_no_model_index_and_says_so(tmp_path: Path) -> None:
    card = render(making.write_adapter(tmp_path, facts=making.run(metrics={})))
    assert "model-index" not in _front(card)
    assert "carries no measurement" in card


def test_each_number_stands_with_its_n_and_its_bound(manifest: Manifest) -> None:
    card = render(manifest)
    assert "| adherence | 0.98 | 150 | 0.95 |" in card
    assert "exact 95 %, one-sided" in card
    assert "not evidence of quality: final_loss." in card


def test_a_licence_that_the_hub_has_no_name_for_is_other(tmp_path: Path) -> None:
    facts = making.run(licence="MIT OR Apache-2.0")
    front = _front(render(making.write_adapter(tmp_path, facts=facts)))
    assert front["license"] == "other"
    assert front["license_name"] == "MIT OR Apache-2.0"


def test_the_card_states_every_digest_of_the_manifest(manifest: Manifest) -> None:
    card = render(manifest)
    stated = [manifest.digest, manifest.config_digest, manifest.data.digest]
    for digest in [*stated, manifest.base.digest, *manifest.files.values()]:
        assert digest in card


def test_the_card_has_all_sections(manifest: Manifest) -> None:
    card = render(manifest)
    headings = [line[3:] for line in card.splitlines() if line.startswith("## ")]
    assert headings == [
        "Intended use",
        "Data",
        "Method",
        "Evals",
        "Known limits",
        "Safety",
        "How to reproduce",
        "Digests",
    ]


def test_a_command_cannot_close_its_block(tmp_path: Path) -> None:
    facts = making.run(command="```\n# a heading\n````")
    card = render(making.write_adapter(tmp_path, facts=facts))
    assert "`````text\n```\n# a heading\n````\n`````\n" in card


def test_a_card_names_parent_and_source(tmp_path: Path) -> None:
    base = BaseModel(BaseRef("m@1.0"), making.BASE_DIGEST, "hub-owner/m")
    facts = making.run("acme-pref@v1", parent=AdapterRef("acme-lora@v1"), base=base)
    card = render(making.write_adapter(tmp_path, facts=facts))
    assert "started from `acme-lora@v1`" in card
    assert _front(card)["base_model"] == "hub-owner/m"


def test_writing_a_card_puts_it_beside_the_manifest(tmp_path: Path) -> None:
    manifest = making.write_adapter(tmp_path)
    write(tmp_path)
    assert (tmp_path / "README.md").read_text() == render(manifest)


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: path.name)
def test_the_cards_of_shipped_adapters_are_as_they_were_rendered(
    directory: Path,
) -> None:
    assert render(load(directory)) == (directory / "README.md").read_text()


def test_sources_cost_and_languages_are_told(tmp_path: Path) -> None:
    card = render(making.write_adapter(tmp_path, facts=making.everything()))
    assert _front(card)["language"] == ["en", "de"]
    assert "| tickets (https://data.example/tickets) | CC-BY-4.0 | contract |" in card
    assert "Training took 2050 s on 2 cores. About 0.011 kWh (2 cores at 10 W" in card


def test_what_is_unsaid_of_a_source_is_called_so(tmp_path: Path) -> None:
    data = Data("0" * 64, 3, "x", (Source("mails", "MIT"),))
    card = render(making.write_adapter(tmp_path, facts=making.run(data=data)))
    assert "| mails | MIT | unsaid | unsaid | unsaid | unsaid | unsaid |" in card


def test_norwegian_is_a_language_and_no_truth_value(tmp_path: Path) -> None:
    data = Data("0" * 64, 3, "x", languages=("no",))
    card = render(making.write_adapter(tmp_path, facts=making.run(data=data)))
    assert _front(card)["language"] == ["no"]


def test_an_energy_that_is_not_known_is_called_so(tmp_path: Path) -> None:
    facts = making.run(cost=Cost(12.0))
    assert "took 12 s. Its energy is not known." in render(
        making.write_adapter(tmp_path, facts=facts)
    )


def test_a_tune_that_cannot_be_served_says_so_on_top(tmp_path: Path) -> None:
    making.write_adapter(tmp_path / "lora")
    made = tmp_path / "full"
    made.mkdir()
    weights = tmp_path / "lora" / "adapter_model.safetensors"
    (made / "model.safetensors").write_bytes(weights.read_bytes())
    facts = making.run(servable=False, not_servable_because="all weights are tuned")
    card = render(seal(made, facts))
    body = card.split("---\n")[2]
    warning = "> **Not servable.** all weights are tuned"
    assert body.strip().splitlines()[2] == warning
    assert _front(card)["base_model_relation"] == "finetune"
    assert "lora" not in _front(card)["tags"]
    assert "| rank |" not in card


_TEXT = st.text(max_size=40)


@making.PATIENT
@given(
    name=_TEXT,
    source=_TEXT,
    dataset=_TEXT,
    value=st.floats(allow_nan=False, allow_infinity=False),
    about=st.builds(About, limits=st.tuples(_TEXT)),
)
def test_no_text_of_a_manifest_breaks_out_of_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    source: str,
    dataset: str,
    value: float,
    about: About,
) -> None:
    facts = making.run(
        base=BaseModel(BaseRef("m@1.0"), making.BASE_DIGEST, source),
        data=Data("0" * 64, 3, name),
        metrics={name: Metric(value, 3, dataset)},
        about=about,
    )
    manifest = making.write_adapter(tmp_path_factory.mktemp("card"), facts=facts)
    card = render(manifest)
    front = _front(card)
    assert front["base_model"] == (source or "m@1.0")
    if dataset:
        (result,) = front["model-index"][0]["results"]
        assert result["dataset"]["name"] == dataset
        assert result["metrics"][0]["type"] == name
        assert result["metrics"][0]["value"] == value
    table = card.split("## Evals")[1].split("##")[0].strip().splitlines()
    assert len(table) == 3
