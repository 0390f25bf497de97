"""An object store by keys: an S3 bucket or a directory; obstore's errors end here."""

import contextlib
import os
import re
from collections.abc import Generator, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from adapters.errors import HomeError

_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""Where the endpoint may stand; the first one that is set counts."""

_ENDPOINT: Final = re.compile(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?(?:/[\w./~-]*)?",
    re.ASCII,
)

_RETRIES: Final = 2
_RETRY_FOR: Final = timedelta(seconds=15)
"""From the first try on. Somebody sits at the other end and waits for an answer."""
_CONNECT: Final = timedelta(seconds=3)
_SILENCE: Final = timedelta(seconds=30)
"""Until an answer begins or goes on: a slow line sends its share of a blob in that."""
_WHOLE: Final = timedelta(minutes=15)
"""For one request with its body; obstore's own 30 seconds are too few for a blob."""

_PARTS: Final = 2
"""Parts of 5 MB that are sent at a time; more would miss `_SILENCE` on a slow line."""
_CHUNK: Final = 1 << 20
_SAID: Final = 300
"""Characters of a foreign error that are passed on."""

_CREDENTIALS: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_KNOWN: Final = (
    (r"NoSuchBucket", "there is no such bucket", "create it, or correct its name"),
    # Without keys obstore asks the machine that it believes to run on for some.
    (r"/latest/(api|meta-data)", "there are no credentials", _CREDENTIALS),
    (
        r"\b40[13] (Unauthorized|Forbidden)|AccessDenied",
        "it refuses the credentials",
        f"{_CREDENTIALS} to those of somebody who may read and write there",
    ),
    (
        r"error sending request|dns error",
        "no server answers",
        "start it, or correct AWS_ENDPOINT_URL",
    ),
    (
        r"os error (1|13|30)\b",
        "this user may not do that there",
        "let it read and write there, or take another directory",
    ),
    (
        r"Unable to canonicalize|os error (17|20)\b",
        "there is no such directory",
        "create it, or correct its name",
    ),
)
"""What foreign errors say, what that means, and what to do about it."""


class Found(msgspec.Struct, frozen=True):
    """An object: bytes that the store says it has, and the bytes as they come."""

    size: int
    chunks: Iterator[bytes]


class Objects:
    """What lies in one place of an object store.

    Every method raises HomeError when the store cannot be used.
    """

    def __init__(self, home: str, store: ObjectStore) -> None:
        """Use a store; `home` is what errors call it."""
        self._home: Final = home
        self._store: Final = store

    def names(self, prefix: str) -> list[str]:
        """Name what lies directly under a prefix, without it."""
        with _typed(self._home):
            found = obstore.list_with_delimiter(self._store, prefix)  # pyright: ignore[reportUnknownMemberType] - of another overload
            return [each["path"].rpartition("/")[2] for each in found["objects"]]

    def find(self, key: str) -> Found | None:
        """Open an object, if it is there; an error may come while it is read, too."""
        try:
            with _typed(self._home):
                result = obstore.get(self._store, key)
                stream = result.stream(min_chunk_size=_CHUNK)
                return Found(result.meta["size"], self._chunks(stream))
        except FileNotFoundError:
            return None

    def put(self, key: str, file: Path) -> None:
        """Write an object whole, whatever was there before."""
        with _typed(self._home):
            obstore.put(self._store, key, file, max_concurrency=_PARTS)

    def create(self, key: str, data: bytes) -> None:
        """Write an object, unless there is one of that key already."""
        with contextlib.suppress(AlreadyExistsError), _typed(self._home):
            obstore.put(self._store, key, data, mode="create")

    def _chunks(self, stream: Iterable[bytes]) -> Generator[bytes]:
        with _typed(self._home):
            yield from stream


def bucket(home: str, name: str, prefix: str) -> Objects:
    """Use a bucket of S3, or of what speaks its protocol, under a prefix.

    Where it is and whose it is say the AWS_* variables of the environment.

    Raises:
        HomeError: they contradict themselves. Nothing is connected to yet.
    """
    given = (os.environ.get(each, "") for each in _ENDPOINTS)
    endpoint = next((each for each in given if each), None)
    if endpoint is not None and not _is_endpoint(endpoint):
        # obstore panics on some of these, which no `except` would catch.
        raise HomeError(
            home,
            "AWS_ENDPOINT_URL is no address of a server",
            "write http://HOST:PORT or https://HOST there, or leave it away for AWS",
        )
    with _typed(home):
        store = S3Store(
            name,
            prefix=prefix or None,
            config={"endpoint": endpoint} if endpoint else None,
            client_options={
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
                "connect_timeout": _CONNECT,
                "read_timeout": _SILENCE,
                "timeout": _WHOLE,
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
        )
    return Objects(home, store)


def directory(home: str, path: Path, *, make: bool) -> Objects:
    """Use a directory; `make` it if it is not there.

    Raises:
        HomeError: it is not there, or cannot be made.
    """
    with _typed(home):
        return Objects(home, LocalStore(path, mkdir=make))


def _is_endpoint(text: str) -> bool:
    try:
        return bool(_ENDPOINT.fullmatch(text)) and urlsplit(text).port != 0
    except ValueError:
        return False


@contextlib.contextmanager
def _typed(home: str) -> Generator[None]:
    """Turn what obstore raises into HomeError; what is missing or there stays so."""
    try:
        yield
    except AlreadyExistsError:
        raise
    except (BaseError, OSError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n\nDebug source")[0]
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in said:
            raise
        raise HomeError(home, *_explained(said)) from error


def _explained(said: str) -> tuple[str, str]:
    code = re.search(r"<Code>(\w+)</Code>", said)
    for pattern, message, advice in _KNOWN:
        if re.search(pattern, said):
            return f"{message} ({code[1]})" if code else message, advice
    text = re.search(r"<Message>([^<]*)</Message>", said)
    shown = f"{code[1]}: {text[1]}" if code and text else said
    return " ".join(shown.split())[:_SAID], "try again, or ask whoever keeps it"
