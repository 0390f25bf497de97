"""bom.json: against the schema of CycloneDX, by its own library."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, strategies as st

from adapters.bom import render, write
from adapters.claims import About, BaseModel, Cost, Data, Metric, Source
from adapters.iris import is_link
from adapters.manifest import Manifest, load, tree_digest
from adapters.refs import AdapterRef, BaseRef
from tests.unit.adapters import making

SHIPPED = sorted((Path(__file__).parents[3] / "models").iterdir())
VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def checked(manifest: Manifest) -> dict[str, Any]:
    """Render, hold the text against the strict schema, and read it."""
    raw = render(manifest)
    assert VALIDATOR.validate_str(raw.decode()) is None
    return json.loads(raw)


def model(manifest: Manifest) -> dict[str, Any]:
    return checked(manifest)["metadata"]["component"]


def values(listed: list[dict[str, str]]) -> dict[str, str]:
    return {each["name"].removeprefix("wastegate:"): each["value"] for each in listed}


@pytest.fixture
def full(tmp_path: Path) -> Manifest:
    """A manifest that says everything that one can say."""
    return making.write_adapter(tmp_path, facts=making.everything())


def test_the_oracle_refuses_what_the_schema_does_not_have(full: Manifest) -> None:
    broken = json.loads(render(full))
    broken["metadata"]["component"]["modelCard"]["surprise"] = 1
    assert VALIDATOR.validate_str(json.dumps(broken)) is not None


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: path.name)
def test_shipped_adapters_have_a_valid_one(directory: Path) -> None:
    assert model(load(directory))["version"] == directory.name.partition("@")[2]


# The first two were made before there was a bill of materials; their bytes stay.
@pytest.mark.parametrize(
    "directory",
    [each for each in SHIPPED if not each.name.endswith("@v1")],
    ids=lambda path: path.name,
)
def test_the_shipped_one_is_what_the_manifest_says(directory: Path) -> None:
    assert (directory / "bom.json").read_bytes() == render(load(directory))


def test_the_same_manifest_gives_the_same_bytes(full: Manifest) -> None:
    assert render(full) == render(full)


def test_the_serial_number_is_of_the_ref_and_its_bytes(full: Manifest) -> None:
    other = msgspec.structs.replace(full, ref=AdapterRef("acme-test-lora@v2"))
    same = msgspec.structs.replace(full, seed=8)
    number = checked(full)["serialNumber"]
    assert number == checked(same)["serialNumber"] != checked(other)["serialNumber"]


def test_it_names_files_licence_and_ancestors(full: Manifest) -> None:
    said = model(full)
    hashes = {each["name"]: each["hashes"][0]["content"] for each in said["components"]}
    assert hashes == full.files
    assert said["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert [each["name"] for each in said["pedigree"]["ancestors"]] == [
        "smollm2-135m-instruct",
        "acme-test-parent",
    ]


def test_each_metric_stands_with_slice_n_and_bounds(full: Manifest) -> None:
    first, second = model(full)["modelCard"]["quantitativeAnalysis"][
        "performanceMetrics"
    ]
    assert first == {
        "type": "adherence",
        "value": "0.98",
        "slice": "held-out; n = 150; exact 95 %, one-sided",
        "confidenceInterval": {"lowerBound": "0.95"},
    }
    assert second == {
        "type": "final_loss",
        "value": "0.31",
        "slice": "training run; n = 700",
    }


def test_evidence_that_is_a_link_is_a_reference_to_it(full: Manifest) -> None:
    links = {each["type"]: each["url"] for each in model(full)["externalReferences"]}
    assert links == {"model-card": "README.md", "evidence": "docs/results.md"}


def test_sources_stand_with_what_governs_them(full: Manifest) -> None:
    whole, source = model(full)["modelCard"]["modelParameters"]["datasets"]
    assert values(whole["contents"]["properties"])["languages"] == "en, de-CH"
    assert source["classification"] == "internal"
    assert source["sensitiveData"] == ["scrubbed by form and checksum"]
    owner = source["governance"]["owners"][0]["organization"]["name"]
    assert owner == "ACME Support"
    told = values(source["contents"]["properties"])
    assert told["licence"] == "CC-BY-4.0"
    assert told["consent"] == "contract"
    assert told["region"] == "EU"


def test_energy_stands_with_how_it_was_reckoned(full: Manifest) -> None:
    told = model(full)["modelCard"]["considerations"]["environmentalConsiderations"]
    (used,) = told["energyConsumptions"]
    assert used["activityEnergyCost"] == {"value": 0.011, "unit": "kWh"}
    known = values(told["properties"])
    assert known["energy_reckoned"] == "2 cores at 10 W assumed, not metered"
    assert known["training_seconds"] == "2050.1"


def test_an_energy_that_is_not_known_is_not_stated(tmp_path: Path) -> None:
    facts = making.run(cost=Cost(12.0, "2 cores"))
    told = model(making.write_adapter(tmp_path, facts=facts))["modelCard"][
        "considerations"
    ]["environmentalConsiderations"]
    assert "energyConsumptions" not in told
    assert values(told["properties"])["training_seconds"] == "12.0"


def test_settings_are_named_by_their_paths(tmp_path: Path) -> None:
    stages = [{"optim": {"learning_rate": 8e-4, "betas": [0.9, 0.99]}}, {}]
    facts = making.run(config={"stages": stages, "note": "x"})
    manifest = making.write_adapter(tmp_path, facts=facts)
    told = values(model(manifest)["modelCard"]["properties"])
    assert told["config.stages[0].optim.learning_rate"] == "0.0008"
    assert told["config.stages[0].optim.betas"] == "[0.9,0.99]"
    assert told["config.stages[1]"] == "{}"
    assert told["config.note"] == "x"
    assert told["r"] == "8"


def test_users_uses_limits_and_safety_are_considered(full: Manifest) -> None:
    told = model(full)["modelCard"]["considerations"]
    assert told["users"] == ["Operators."]
    assert told["useCases"] == ["Tests."]
    assert told["technicalLimitations"][0] == "Small."
    assert told["ethicalConsiderations"][0]["mitigationStrategy"] == "No filter."


def test_what_cannot_be_served_says_so_first(tmp_path: Path) -> None:
    facts = making.run(servable=False, not_servable_because="it is a bottleneck")
    manifest = making.write_adapter(tmp_path, facts=facts)
    first = model(manifest)["modelCard"]["considerations"]["technicalLimitations"][0]
    assert first == "Not servable: it is a bottleneck"


def test_the_tree_digest_covers_it(tmp_path: Path) -> None:
    manifest = making.write_adapter(tmp_path)
    before = tree_digest(tmp_path)
    write(tmp_path)
    assert (tmp_path / "bom.json").read_bytes() == render(manifest)
    assert tree_digest(tmp_path) != before


@pytest.mark.parametrize(
    "text",
    [
        "docs/results.md",
        "docs/results.md#gates",
        "https://a.example/x/y?z=1#w",
        "http://127.0.0.1:8080/",
    ],
)
def test_addresses_and_paths_are_links(text: str) -> None:
    assert is_link(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "training check: greedy",
        "javascript:alert(1)/x",
        "a b/c",
        "docs/results.md\n",
        "//x/y",
        "http://[",
    ],
)
def test_words_are_no_links(text: str) -> None:
    assert not is_link(text)


_TEXT = st.text(max_size=30)
_LINKISH = st.text("ab1:/.?#[]@%&=~ \\\"'<>-_ü", max_size=20) | _TEXT
_NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@making.PATIENT
@given(
    metric=st.builds(Metric, value=_NUMBER, n=st.integers(0, 9), dataset=_TEXT,
        lower=st.none() | _NUMBER, upper=st.none() | _NUMBER, bound=_TEXT,
        evidence=_LINKISH),
    name=_TEXT,
    source=st.builds(Source, name=_TEXT, licence=st.just("MIT"), consent=_TEXT,
        personal_data=_TEXT, classification=_TEXT, owner=_TEXT, url=_LINKISH),
    about=st.builds(About, summary=_TEXT, intended_use=_TEXT, safety=_TEXT),
    config=st.dictionaries(_TEXT, st.lists(st.none() | _TEXT | _NUMBER, max_size=2),
        max_size=3),
)  # fmt: skip
def test_any_manifest_gives_a_valid_one(
    tmp_path_factory: pytest.TempPathFactory,
    metric: Metric,
    name: str,
    source: Source,
    about: About,
    config: dict[str, Any],
) -> None:
    facts = making.run(
        base=BaseModel(BaseRef("m@1.0"), making.BASE_DIGEST, name),
        data=Data("0" * 64, 3, name, sources=(source,)),
        metrics={name: metric},
        about=about,
        config=config,
    )
    checked(making.write_adapter(tmp_path_factory.mktemp("bom"), facts=facts))
