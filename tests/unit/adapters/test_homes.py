"""Addresses of homes, and what is taken from an untrusted sender."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from adapters.errors import AdapterError, HomeError
from adapters.files import receive
from adapters.home_hub import HubHome
from adapters.home_store import StoreHome
from adapters.homes import open_home
from adapters.registry import Registered, Registry
from tests.unit.adapters import making


@pytest.fixture
def entry(tmp_path: Path) -> Registered:
    making.write_adapter(tmp_path / "made")
    return Registry(tmp_path / "registry").add(tmp_path / "made")


@pytest.mark.parametrize(
    "url",
    [
        "s3://models",
        "s3://models/",
        "s3://models/team/adapters/",
        "s3://my.models-1/a=b/c@d",
        "share/adapters",
        "/mnt/share: of the team",
        "file:///mnt/share",
    ],
)
def test_a_bucket_or_a_directory_is_a_home(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert isinstance(open_home(url), StoreHome)


@pytest.mark.parametrize("url", ["hf://acme/lora", "hf://acme/lora-1.0@refs/pr/1"])
def test_a_repository_on_the_hub_is_a_home(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert isinstance(open_home(url), HubHome)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3:models",
        "s3://",
        "s3://x",
        "s3://Models/a",
        "s3://models/a//b",
        "s3://models/../b",
        "s3://models/a?b=c",
        "s3://models/a\n",
        "gs://models/a",
        "https://example.org/a",
        "https:/example.org",
        "file://share/a",
        "file:/mnt",
        "hf://lora",
        "hf://acme/lora/file",
        "hf://acme/..",
        "hf://acme/lora@",
        "hf://acme/lora@..",
        "hf://acme/lora?x",
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(url: str) -> None:
    with pytest.raises(HomeError, match=r"no home|no path") as caught:
        open_home(url)
    assert "s3://BUCKET/PREFIX" in caught.value.advice


def test_a_secret_in_an_address_is_not_repeated() -> None:
    with pytest.raises(HomeError) as caught:
        open_home("s3://key:sesame@models/a")
    assert "sesame" not in str(caught.value)


def test_a_file_url_and_a_relative_path_name_the_same_directory(
    entry: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_home("a share").publish(entry)
    home = open_home(f"file://{quote(str(tmp_path))}/a%20share")
    assert home.refs() == (entry.ref,)


def test_reading_makes_no_directory(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="no such directory"):
        open_home(str(tmp_path / "typo")).refs()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_directory(entry: Registered, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(HomeError, match="no such directory"):
            open_home(str(path)).publish(entry)
        with pytest.raises(HomeError, match="no such directory"):
            open_home(str(path)).refs()


def test_errors_of_homes_are_errors_of_adapters() -> None:
    assert issubclass(HomeError, AdapterError)
    error = HomeError("s3://a", "is away", "wait")
    assert str(error) == "s3://a: is away; wait"


# What is received.


def test_bytes_that_are_wanted_become_a_file(tmp_path: Path) -> None:
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert receive([b"a", b"bc"], tmp_path / "x", 3, digest) is None
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_other_bytes_leave_no_file(tmp_path: Path) -> None:
    assert receive([b"abc"], tmp_path / "x", 3, "0" * 64) is not None
    assert list(tmp_path.iterdir()) == []


def test_no_more_is_taken_than_the_limit_allows(tmp_path: Path) -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x"

    assert receive(endless(), tmp_path / "x", 10) == "x is longer than 10 bytes"
    assert len(taken) == 11
    assert list(tmp_path.iterdir()) == []


def test_a_sender_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x"
        raise HomeError("s3://a", "is away", "wait")

    with pytest.raises(HomeError):
        receive(failing(), tmp_path / "x", 10)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(FileExistsError):
        receive([b"theirs"], tmp_path / "x", 10)
    assert (tmp_path / "x").read_text() == "mine"
