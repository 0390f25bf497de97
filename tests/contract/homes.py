"""The homes that the port's contract is checked against, and how to meddle with them."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import obstore
import pytest
from obstore.store import LocalStore, ObjectStore, S3Store

from adapters.homes import Home, open_home
from adapters.refs import AdapterRef
from adapters.registry import Registered, Registry
from tests.contract.weed import BUCKET, KEY, SECRET, WeedServer
from tests.unit.adapters import making

REF = AdapterRef("acme-test-lora@v1")
BOUND = f"refs/{REF}.json"
WEIGHTS = "adapter_model.safetensors"


class Place(msgspec.Struct, frozen=True):
    """A home's address, and the same place without any of the home's rules."""

    url: str
    store: ObjectStore

    def open(self) -> Home:
        """Open the home as a command does: each time anew."""
        return open_home(self.url)

    def keys(self) -> list[str]:
        batches = obstore.list(self.store)  # pyright: ignore[reportUnknownMemberType] -- of another overload
        return sorted(meta["path"] for batch in batches for meta in batch)

    def read(self, key: str) -> bytes:
        return bytes(obstore.get(self.store, key).bytes())

    def write(self, key: str, data: bytes) -> None:
        obstore.put(self.store, key, data)

    def remove(self, key: str) -> None:
        obstore.delete(self.store, key)

    def contents(self) -> dict[str, bytes]:
        return {key: self.read(key) for key in self.keys()}

    def blob(self, name: str) -> str:
        """Name a blob that is the file of this name."""
        return next(key for key in self.keys() if key.endswith(f"/{name}"))

    def rebind(self, **changes: Any) -> None:
        """Write the binding of REF anew, with other fields."""
        bound = json.loads(self.read(BOUND))
        self.write(BOUND, json.dumps(bound | changes).encode())


class Machine:
    """A machine with a registry, and a directory for what is fetched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.registry = Registry(root / "registry")
        root.mkdir()

    def made(self, seed: int = 7, ref: str = REF) -> Registered:
        """Make an adapter and register it; another seed gives other bytes."""
        source = self.root / f"made-{uuid.uuid4().hex}"
        making.write_adapter(source, facts=making.run(ref, seed=seed))
        (source / "README.md").write_text(f"A card of {ref}, seed {seed}.")
        return self.registry.add(source)

    def pull(self, home: Home, ref: str = REF) -> Registered:
        """Fetch and register, as the command does."""
        into = self.root / f"fetched-{uuid.uuid4().hex}"
        into.mkdir()
        home.fetch(AdapterRef(ref), into)
        return self.registry.add(into)


@pytest.fixture
def one(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "other")


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeedServer]:
    server = WeedServer(tmp_path_factory.mktemp("weed"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def s3(weed: WeedServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty prefix of a bucket, and the environment that leads there."""
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", weed.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    prefix = f"team/{uuid.uuid4().hex}"
    store = S3Store(BUCKET, prefix=prefix, client_options={"allow_http": True})
    return Place(f"s3://{BUCKET}/{prefix}", store)


@pytest.fixture
def shared(tmp_path: Path) -> Place:
    """A directory, which is not there before somebody pushes."""
    path = tmp_path / "a share"
    return Place(str(path), LocalStore(path, mkdir=True))


@pytest.fixture(params=["shared", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)
