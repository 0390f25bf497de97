"""What ships with an adapter: facts, card for the Hub, ML-BOM, signature."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from huggingface_hub import ModelCard

from adapters.errors import KeyUnfit, PreflightError
from adapters.golden import Golden, Said
from adapters.manifest import load
from adapters.signature import check_signature
from training import facts, publish, quickcheck, record
from training.bounds import exact_bounds
from training.config import Data, RunConfig, load as load_config
from training.errors import ConfigError
from training.run import Places, run

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "facts.toml"
SHIPPED = sorted((ROOT / "models").iterdir())
NOW = datetime(2026, 1, 2, tzinfo=UTC)
REF = "acme-behav-lora@v9"


def small() -> RunConfig:
    replace = msgspec.structs.replace
    loaded = load_config(ROOT / "training" / "configs" / "sft.toml", method="sft")
    optim = replace(loaded.optim, batch_size=2, epochs=1)
    data = Data(seed=1, train=2, val=0)
    return replace(loaded, ref=REF, max_length=2000, data=data, optim=optim)


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sft"
    run(small(), Places(tiny_base, out))
    return out


@pytest.fixture
def report(tmp_path: Path) -> Path:
    lower, upper = exact_bounds(39, 40)
    share = quickcheck.Share(0.975, 40, lower, upper)
    looked = quickcheck.Report("test split, 0..39", {"adherence": share}, 28.5, ())
    quickcheck.write(tmp_path / "report.json", looked)
    return tmp_path / "report.json"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and a public key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "ours.pem", tmp_path / "ours.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


@pytest.fixture(autouse=True)
def with_an_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two examples move no first token: let there be one."""
    said = Golden(base=Said("a", -0.1, ()), adapter=Said("b", -0.1, ()))
    monkeypatch.setattr(publish, "find_probes", lambda *_: {"Summarise.": said})


def published(trained: Path, report: Path, base: Path, told: facts.Facts) -> Path:
    out = report.parent / REF
    publish.publish(
        trained=trained, report=report, base_dir=base, out=out, now=NOW, facts=told
    )
    return out


def test_a_signed_adapter_is_accepted_and_with_any_other_byte_refused(
    tiny_base: Path, trained: Path, report: Path, keys: tuple[Path, Path]
) -> None:
    out = published(trained, report, tiny_base, facts.load(None, keys[0]))
    check_signature(out, keys[1])
    for path in sorted(out.iterdir()):
        before = path.read_bytes()
        path.write_bytes(before[:-2] + bytes([before[-2] ^ 1]) + before[-1:])
        with pytest.raises(PreflightError):
            check_signature(out, keys[1])
        path.write_bytes(before)
    check_signature(out, keys[1])


def test_a_key_that_cannot_sign_leaves_nothing_published(
    tiny_base: Path, trained: Path, report: Path
) -> None:
    (report.parent / "no.pem").write_text("no key")
    with pytest.raises(KeyUnfit, match=r"no\.pem cannot sign"):
        published(
            trained, report, tiny_base, facts.load(None, report.parent / "no.pem")
        )
    assert not (report.parent / REF).exists()


def test_facts_reach_manifest_card_and_bill(
    tiny_base: Path, trained: Path, report: Path
) -> None:
    out = published(trained, report, tiny_base, facts.load(EXAMPLE))
    manifest = load(out)
    seconds = record.read_run(trained).seconds
    assert manifest.cost
    assert manifest.cost.energy_kwh == pytest.approx(20 * seconds / 3.6e6)
    assert [source.licence for source in manifest.data.sources] == ["CC-BY-4.0"]
    for name in ("README.md", "bom.json"):
        assert "2 cores at 10 W assumed, not metered" in (out / name).read_text()


def test_without_facts_the_time_is_known_and_the_energy_is_not(
    tiny_base: Path, trained: Path, report: Path
) -> None:
    manifest = load(published(trained, report, tiny_base, facts.NONE))
    assert manifest.cost
    assert manifest.cost.energy_kwh is None
    assert manifest.cost.seconds == record.read_run(trained).seconds


def test_what_cannot_be_served_ships_its_own_files_and_names_no_machine(
    tiny_base: Path, trained: Path, report: Path
) -> None:
    told = facts.Facts(servable=False, not_servable_because="it is a bottleneck")
    out = published(trained, report, tiny_base, told)
    manifest = load(out)
    assert set(manifest.files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert manifest.probes == ()
    assert str(tiny_base.parent) not in (out / "adapter_config.json").read_text()
    assert json.loads((out / "bom.json").read_text())["specVersion"] == "1.6"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("watts = 20", "watts without `reckoned`"),
        ("wats = 20", "wats"),
        ('key = "a.pem"', "key"),
        ("watts = ", "facts.toml"),
        ('[[sources]]\nname = "x"', "licence"),
    ],
)
def test_facts_that_are_wrong_are_refused_by_name(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "facts.toml").write_text(text + "\n")
    with pytest.raises(ConfigError, match=message):
        facts.load(tmp_path / "facts.toml")


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: path.name)
def test_the_hub_s_own_library_reads_the_card_as_the_manifest_has_it(
    directory: Path,
) -> None:
    card = ModelCard.load(directory / "README.md")
    manifest = load(directory)
    data = card.data
    assert data.license == "apache-2.0"
    assert data.language == list(manifest.data.languages)
    assert data.base_model == manifest.base.source
    assert data.library_name == "peft"
    assert data.model_name == manifest.ref
    assert data.eval_results
    found = {each.metric_type: each.metric_value for each in data.eval_results}
    named = {name: each for name, each in manifest.metrics.items() if each.dataset}
    assert found == {name: each.value for name, each in named.items()}
    for each in data.eval_results:
        assert each.dataset_name == named[each.metric_type].dataset
        assert each.task_type == "text-generation"


def test_the_hub_s_own_library_reads_a_card_with_all_facts(
    tiny_base: Path, trained: Path, report: Path
) -> None:
    out = published(trained, report, tiny_base, facts.load(EXAMPLE))
    data = ModelCard.load(out / "README.md").data
    assert data.language == ["en"]
    assert data.eval_results
    assert data.eval_results[0].metric_value == 0.975


@pytest.mark.parametrize(
    ("start", "parent"), [("acme-behav-lora@v8", "acme-behav-lora@v8"), ("sft", None)]
)
def test_what_goes_on_from_an_adapter_names_it_as_its_parent(
    start: str, parent: str | None, tiny_base: Path, trained: Path, report: Path
) -> None:
    begun = shutil.copytree(trained, report.parent / "begun")
    made = record.read_run(begun)
    config = msgspec.structs.replace(made.config, lora=None, start=start)
    changed = msgspec.structs.replace(made, config=config)
    (begun / record.RUN_RECORD).write_bytes(msgspec.json.encode(changed))
    out = published(begun, report, tiny_base, facts.load(None))
    found = load(out).parent
    assert (str(found) if found else None) == parent
