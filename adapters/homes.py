"""Homes: where sealed adapters are kept away from this machine.

What replicas read is the registry of their own machine (`adapters/registry.py`). A
home is somewhere else, and holds the same adapters under the same refs:

    s3://BUCKET/PREFIX          a bucket of S3, or of what speaks its protocol
    file:///DIRECTORY           a directory, or just its path: a share, a disk
    hf://OWNER/REPO[@REVISION]  a model repository on the Hugging Face Hub; read only
"""

import os
import re
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import unquote

from adapters.errors import HomeError
from adapters.home_hub import HubHome, Repository
from adapters.home_store import StoreHome
from adapters.objects import Objects, bucket, directory
from adapters.preflight import Limits
from adapters.refs import AdapterRef
from adapters.registry import Registered

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)\Z", re.DOTALL)
_BUCKET: Final = re.compile(
    r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([\w!.*'()/+=@-]*))?", re.ASCII
)
_SEGMENT: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_REPOSITORY: Final = re.compile(rf"({_SEGMENT}/{_SEGMENT})(?:@(\w[\w./-]*))?", re.ASCII)
_HUB: Final = "https://huggingface.co"
_HUBS: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[\w./~-]*)?", re.ASCII)

_FORMS: Final = (
    "write s3://BUCKET/PREFIX, hf://OWNER/REPO[@REVISION], file:///DIRECTORY"
    " or the path of a directory"
)


class Home(Protocol):
    """Where adapters are kept; a ref is bound there once, for ever."""

    def refs(self) -> tuple[AdapterRef, ...]:
        """Name what is there, by name and version. Raises HomeError."""
        ...

    def fetch(self, ref: AdapterRef, into: Path) -> None:
        """Write an adapter's files, and no other, into an existing empty directory.

        Nothing that the home holds is believed: names, sizes and sha256 are compared
        before and while they are written. After an error the directory may hold some
        of the files; each of them has passed.

        Raises:
            UnknownRef: it is not there; says what is.
            HomeError: the home cannot be used, or what it holds contradicts itself.
            OSError: this machine's disk refuses.
        """
        ...

    def publish(self, registered: Registered) -> None:
        """Write a registered adapter there, its binding last; again is no change.

        Raises:
            RefConflict: the ref is bound to other bytes there.
            CorruptAdapter: the files are not those that were registered.
            HomeError: the home cannot be used, or only be read.
        """
        ...


def open_home(url: str, limits: Limits | None = None) -> Home:
    """Find a home by its address; nothing is connected to or made yet.

    Args:
        url: an address, as above. Whose bucket it is, and on which server, say the
            AWS_* variables of the environment; HF_TOKEN and HF_ENDPOINT the Hub's.
        limits: cap the sizes of what is fetched.

    Raises:
        HomeError: it is no such address; says what would be right.
    """
    limits = limits or Limits()
    found = _SCHEME.match(url)
    if found is None:
        if not url or re.match(r"(s3|hf|file|https?):", url, re.IGNORECASE):
            raise HomeError(repr(url), "this is no home", _FORMS)
        return _in_directory(url, Path(url), limits)
    scheme, rest = found.groups()
    if scheme == "s3" and (named := _BUCKET.fullmatch(rest)):
        return _in_bucket(url, named[1], named[2] or "", limits)
    if scheme == "hf" and (named := _REPOSITORY.fullmatch(rest)):
        return _on_hub(url, named[1], named[2] or "main", limits)
    if scheme == "file" and rest.startswith("/"):
        return _in_directory(url, Path(unquote(rest)), limits)
    # What stands before an @ may be a secret.
    raise HomeError(f"{scheme}://…", "this is no home", _FORMS)


def _in_directory(name: str, path: Path, limits: Limits) -> Home:
    where = path.absolute()

    def connect(access: Literal["read", "write"]) -> Objects:
        return directory(name, where, make=access == "write")

    return StoreHome(name, connect, limits)


def _in_bucket(name: str, within: str, prefix: str, limits: Limits) -> Home:
    if any(part in ("", ".", "..") for part in prefix.strip("/").split("/") if prefix):
        raise HomeError(name, "its prefix is no path", _FORMS)
    objects = bucket(name, within, prefix.strip("/"))
    return StoreHome(name, lambda _: objects, limits)


def _on_hub(name: str, repository: str, revision: str, limits: Limits) -> Home:
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _HUB
    if not _HUBS.fullmatch(endpoint):
        raise HomeError(
            name,
            "HF_ENDPOINT is no address of a server",
            f"write https://HOST there, or leave it away for {_HUB}",
        )
    token = os.environ.get("HF_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise HomeError(name, "HF_TOKEN is no token", "copy it anew, on one line")
    where = Repository(endpoint, repository, revision)
    return HubHome(name, where, token or None, limits)
