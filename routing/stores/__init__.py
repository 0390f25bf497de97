"""The stores behind the port of `routing.store`, chosen by URL."""

from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from routing.errors import StoreError
from routing.store import Store
from routing.tallies import Tallies

_EXAMPLES: Final = 'use "sqlite:var/state.db" or "redis://127.0.0.1:6379/0"'


def open_store(url: str) -> Store:
    """Return the store that a URL names; the first call connects, not this one.

    `sqlite:PATH` (a relative path is relative to the working directory) or
    `redis://[[user]:password@]host[:port][/db]`, `rediss://` for TLS.

    Raises:
        StoreError: the URL names no store; the message says what would be
            right, without repeating a password.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        # Imported here, as below: only what is configured gets loaded.
        from routing.stores.sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(_path(rest))
    if scheme in ("redis", "rediss"):
        from routing.stores.redis import RedisStore  # noqa: PLC0415

        _check_redis(url)
        return RedisStore(url)
    raise _unknown(scheme, rest)


def open_tallies(url: str) -> Tallies:
    """Return the tallies beside the store that a URL names, on connections of its own.

    Raises:
        StoreError: as `open_store`.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        # Imported here, as in `open_store`: only what is configured gets loaded.
        from routing.stores.sqlite_tallies import SqliteTallies  # noqa: PLC0415

        path = _path(rest)
        return SqliteTallies(path.with_name(f"{path.name}.tallies"))
    if scheme in ("redis", "rediss"):
        from routing.stores.redis_tallies import RedisTallies  # noqa: PLC0415

        _check_redis(url)
        return RedisTallies(url)
    raise _unknown(scheme, rest)


def _unknown(scheme: str, rest: str) -> StoreError:
    if not rest:
        return StoreError(f"the state URL has no scheme: {_EXAMPLES}")
    return StoreError(f"{scheme!r} is no scheme for a state URL: {_EXAMPLES}")


def _path(rest: str) -> Path:
    # "sqlite:///x" is /x to some programs and ./x to others: neither is guessed.
    if not rest or rest.startswith((":", "//", "file:")) or "\0" in rest:
        raise StoreError(
            'the sqlite URL names no file: use "sqlite:var/state.db"'
            ' or "sqlite:/var/lib/wastegate/state.db" (memory is not shared'
            " between workers and lost on exit)"
        )
    if rest.endswith("/") or Path(rest).name in ("", ".", ".."):
        raise StoreError(f'{rest!r} is a directory: use "sqlite:{rest}/state.db"')
    return Path(rest)


def _check_redis(url: str) -> None:
    try:
        parts = urlsplit(url)
        problem = _redis_problem(parts)
    except ValueError as error:
        # The port's error quotes the port alone, never the password.
        raise StoreError(f"the redis URL is malformed: {error}: {_EXAMPLES}") from None
    if problem:
        raise StoreError(f"the redis URL {problem}: {_EXAMPLES}")


def _redis_problem(parts: SplitResult) -> str:
    database = parts.path.removeprefix("/")
    if not parts.hostname:
        return "has no host"
    if parts.port == 0:
        return "has port 0"
    if parts.query or parts.fragment:
        return "has options; time limits and pool are the store's own"
    if database and not (database.isascii() and database.isdigit()):
        return f"has the database {database!r}, which is no number"
    return ""
