"""A repository on the Hub as a home."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import HomeError, UnknownRef
from adapters.homes import open_home
from adapters.manifest import tree_digest
from adapters.preflight import Limits
from adapters.refs import AdapterRef
from adapters.registry import Registry
from tests.unit.adapters import making
from tests.unit.adapters.hub import COMMIT, WEIGHTS, Hub

REF = AdapterRef("acme-test-lora@v1")
HOME = "hf://owner/repo"
TOKEN = "hf_secret"  # noqa: S105 -- nobody's


@pytest.fixture
def made(tmp_path: Path) -> Path:
    making.write_adapter(tmp_path / "made")
    (tmp_path / "made" / "README.md").write_text("A card.")
    return tmp_path / "made"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


@pytest.fixture
def hub(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    hub.files = {entry.name: entry.read_bytes() for entry in made.iterdir()}
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub.running():
        monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/")
        yield hub


def test_an_adapter_is_fetched_whole_and_nothing_else_is(
    hub: Hub, made: Path, into: Path
) -> None:
    hub.files |= {"adapter_model.bin": b"", ".gitattributes": b""}
    open_home(HOME).fetch(REF, into)
    assert tree_digest(into) == tree_digest(made)


def test_the_card_may_be_missing(hub: Hub, into: Path) -> None:
    del hub.files["README.md"]
    open_home(HOME).fetch(REF, into)
    assert sorted(entry.name for entry in into.iterdir()) == [
        "adapter_config.json",
        WEIGHTS,
        "manifest.json",
    ]


def test_a_repository_holds_the_one_ref_of_its_manifest(hub: Hub, into: Path) -> None:
    assert open_home(HOME).refs() == (REF,)
    with pytest.raises(UnknownRef, match="registered are: acme-test-lora@v1"):
        open_home(HOME).fetch(AdapterRef("acme-test-lora@v2"), into)
    assert list(into.iterdir()) == []


def test_a_revision_is_asked_for_as_it_is_named(hub: Hub, into: Path) -> None:
    hub.revisions.add("refs/pr/1")
    open_home(f"{HOME}@refs/pr/1").fetch(REF, into)
    assert hub.asked[0] == "/owner/repo/resolve/refs%2Fpr%2F1/manifest.json"


def test_a_branch_that_moves_meanwhile_is_read_at_one_commit(
    hub: Hub, made: Path, into: Path
) -> None:
    hub.moves = {"adapter_config.json": b"{}", "README.md": b"Another."}
    open_home(HOME).fetch(REF, into)
    assert tree_digest(into) == tree_digest(made)
    assert all(f"/{COMMIT}/" in path for path in hub.asked[1:])


def test_the_token_goes_to_the_hub_and_not_where_it_redirects_to(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = TOKEN
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}\n")
    open_home(HOME).fetch(REF, into)
    (headers,) = hub.cdn_headers
    assert TOKEN not in str(headers)


@pytest.mark.parametrize("token", ["", "hf_other"])
def test_a_refused_token_is_told(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    hub.token = TOKEN
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HomeError, match="401") as caught:
        open_home(HOME).fetch(REF, into)
    assert "HF_TOKEN" in caught.value.advice


@pytest.mark.parametrize("name", ["manifest.json", "adapter_config.json", WEIGHTS])
def test_a_missing_file_is_told_by_its_name(hub: Hub, into: Path, name: str) -> None:
    del hub.files[name]
    with pytest.raises(HomeError, match=f"{name}: the answer is 404") as caught:
        open_home(HOME).fetch(REF, into)
    assert "correct the name or the revision" in caught.value.advice


def test_an_unknown_revision_is_told(hub: Hub, into: Path) -> None:
    with pytest.raises(HomeError, match="404"):
        open_home(f"{HOME}@v9").fetch(REF, into)


@pytest.mark.parametrize("name", ["manifest.json", "README.md"])
def test_a_failing_hub_is_told(hub: Hub, into: Path, name: str) -> None:
    hub.status[name] = 503
    with pytest.raises(HomeError, match=f"{name}: the answer is 503"):
        open_home(HOME).fetch(REF, into)


@pytest.mark.parametrize("name", ["manifest.json", "adapter_config.json", "README.md"])
def test_an_endless_file_is_cut_off_at_its_limit(
    hub: Hub, into: Path, name: str
) -> None:
    hub.endless = {name}
    with pytest.raises(HomeError, match=f"{name} is (too long|longer)"):
        open_home(HOME).fetch(REF, into)
    assert not (into / name).exists()


def test_endless_weights_are_cut_off_at_their_limit(hub: Hub, into: Path) -> None:
    hub.endless = {WEIGHTS}
    with pytest.raises(HomeError, match="longer than 100000 bytes"):
        open_home(HOME, Limits(largest_weights=100_000)).fetch(REF, into)
    assert not (into / WEIGHTS).exists()


@pytest.mark.parametrize("name", ["adapter_config.json", WEIGHTS])
def test_bytes_that_are_not_the_manifests_are_refused(
    hub: Hub, into: Path, tmp_path: Path, name: str
) -> None:
    hub.files[name] += b" "
    with pytest.raises(HomeError, match=f"{name} has other bytes"):
        open_home(HOME).fetch(REF, into)
    assert not (into / name).exists()


def test_a_manifest_that_is_none_is_refused(hub: Hub, into: Path) -> None:
    hub.files["manifest.json"] = b"<html>"
    with pytest.raises(HomeError, match=r"no sound adapter: manifest\.json") as caught:
        open_home(HOME).fetch(REF, into)
    assert "sealed" in caught.value.advice


def test_a_hub_that_is_away_is_told(hub: Hub, into: Path, tmp_path: Path) -> None:
    hub.cdn = "http://127.0.0.1:9"
    with pytest.raises(HomeError, match=f"{WEIGHTS} cannot be had"):
        open_home(HOME).fetch(REF, into)


def test_nothing_is_pushed_there_and_it_says_how_to_upload(
    made: Path, tmp_path: Path
) -> None:
    entry = Registry(tmp_path / "registry").add(made)
    with pytest.raises(HomeError, match="hf upload owner/repo") as caught:
        open_home(f"{HOME}@main").publish(entry)
    assert str(entry.path) in caught.value.advice


@pytest.mark.parametrize("token", ["two words\nand lines", "naïve"])
def test_a_token_that_http_cannot_carry_is_told_without_it(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HomeError, match="HF_TOKEN is no token") as caught:
        open_home(HOME)
    assert token not in str(caught.value)


def test_an_endpoint_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.co")
    with pytest.raises(HomeError, match="HF_ENDPOINT is no address"):
        open_home(HOME)
