"""A bucket that cannot be used says so at once, and says what to do."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.errors import HomeError
from adapters.homes import Home, open_home
from tests.contract.homes import REF, Machine, Place
from tests.contract.weed import free_ports

WITHIN = 10.0

Use = Callable[[Home, Machine, Path], object]


def _push(home: Home, machine: Machine, _: Path) -> None:
    home.publish(machine.made())


def _pull(home: Home, _: Machine, into: Path) -> None:
    home.fetch(REF, into)


def _list(home: Home, _: Machine, into: Path) -> None:
    home.refs()


@contextmanager
def soon() -> Generator[None]:
    """Fail when it takes long: somebody waits for the answer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < WITHIN


uses = pytest.mark.parametrize("use", [_push, _pull, _list])


@uses
@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_credentials_are_told(
    s3: Place,
    one: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    use: Use,
    name: str,
) -> None:
    monkeypatch.setenv(name, "wrong")
    with soon(), pytest.raises(HomeError, match="refuses the credentials") as caught:
        use(s3.open(), one, tmp_path)
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.advice
    assert s3.keys() == []


@uses
def test_a_bucket_that_is_not_there_is_told(
    s3: Place, one: Machine, tmp_path: Path, use: Use
) -> None:
    home = open_home("s3://not-there/adapters")
    with soon(), pytest.raises(HomeError, match="no such bucket"):
        use(home, one, tmp_path)


@uses
def test_a_server_that_is_not_there_is_told(
    s3: Place, one: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with soon(), pytest.raises(HomeError, match="no server answers") as caught:
        use(s3.open(), one, tmp_path)
    assert "AWS_ENDPOINT_URL" in caught.value.advice


@pytest.mark.parametrize(
    "endpoint",
    [
        "nonsense",
        "127.0.0.1:9000",
        "ftp://127.0.0.1",
        "http://",
        "http://a b",
        "http://a:99999",
    ],
)
def test_an_endpoint_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(HomeError, match="no address of a server"):
        open_home("s3://adapters/team")


def test_a_bucket_without_a_prefix_is_a_home(
    s3: Place, one: Machine, other: Machine
) -> None:
    pushed = one.made(ref="acme-at-the-root@v1")
    home = open_home("s3://adapters")
    home.publish(pushed)
    assert other.pull(home, pushed.ref).digest == pushed.digest
