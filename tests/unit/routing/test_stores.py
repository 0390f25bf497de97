import ast
from datetime import datetime
from pathlib import Path

import pytest

import routing
from routing.errors import StoreError
from routing.store import Change
from routing.stores import open_store
from routing.stores.redis import RedisStore
from routing.stores.sqlite import SqliteStore

PACKAGE = Path(str(routing.__file__)).parent


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:var/state.db", SqliteStore),
        ("sqlite:/var/lib/state.db", SqliteStore),
        ("redis://127.0.0.1:6379/0", RedisStore),
        ("redis://127.0.0.1", RedisStore),
        ("redis://user:word@host:1/2", RedisStore),
        ("rediss://host", RedisStore),
    ],
)
async def test_a_url_names_its_store_and_connects_nowhere(url: str, kind: type) -> None:
    store = open_store(url)
    assert type(store) is kind
    await store.close()


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("", "has no scheme: use"),
        ("var/state.db", "has no scheme: use"),
        ("postgres://host/db", "'postgres' is no scheme"),
        ("sqlite:", "names no file"),
        ("sqlite::memory:", "not shared"),
        ("sqlite:///var/state.db", "names no file"),
        ("sqlite:file:state.db?mode=ro", "names no file"),
        ("sqlite:var/", "is a directory"),
        ("sqlite:..", "is a directory"),
        ("redis:", "no host"),
        ("redis:///0", "no host"),
        ("redis://host:0", "port 0"),
        ("redis://host:port", "malformed"),
        ("redis://host/zero", "no number"),
        ("redis://host?socket_timeout=100", "options"),
    ],
)
def test_a_url_that_names_no_store_is_refused_with_what_would_be_right(
    url: str, advice: str
) -> None:
    with pytest.raises(StoreError, match="sqlite:") as caught:
        open_store(url)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://u:secret@host:x", "redis://u:secret@h/x", "http://u:secret@h"]
)
def test_a_refused_url_does_not_repeat_its_password(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_change_needs_a_zone_and_text_that_can_be_written() -> None:
    with pytest.raises(StoreError, match="time zone"):
        Change("alice", "kill", "", datetime(2026, 1, 1))  # noqa: DTZ001  # the point
    with pytest.raises(StoreError, match="`why` has a lone surrogate"):
        Change("alice", "kill", "\ud800", datetime.fromisoformat("2026-01-01T00:00Z"))


@pytest.mark.parametrize("driver", ["redis", "sqlite3"])
def test_each_driver_is_imported_in_its_own_files_alone(driver: str) -> None:
    importers = [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        if driver in imported(ast.parse(path.read_text()))
    ]
    assert importers
    for path in importers:
        assert path.parent.name == "stores"
        assert path.name.startswith(driver.removesuffix("3"))


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names
