"""What a ref is bound to, as it is written down in the registry and in every home.

`refs/NAME@vN.json` lists an adapter's files with size and sha256, and their tree
digest, which is the name of the directory (`blobs/DIGEST/`) that holds them.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from adapters.errors import ManifestError, RefError
from adapters.files import DIGEST, file_digest, files_digest
from adapters.manifest import encode_hook, parse
from adapters.refs import AdapterRef


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bytes of one file: their sha256, and how many they are."""

    sha256: Annotated[str, msgspec.Meta(pattern=DIGEST)]
    size: Annotated[int, msgspec.Meta(ge=0)]


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ref, the tree digest that it means for ever, and the files under it."""

    ref: AdapterRef
    digest: Annotated[str, msgspec.Meta(pattern=DIGEST)]
    files: dict[str, Stored]


def describe(ref: AdapterRef, directory: Path) -> Binding:
    """Hash a directory's files, and bind a ref to them. Raises OSError."""
    files = {
        entry.name: Stored(file_digest(entry), entry.stat().st_size)
        for entry in sorted(directory.iterdir())
    }
    return Binding(ref, _tree(files), files)


def file_name(ref: AdapterRef) -> str:
    """Name the file, under `refs`, that binds a ref."""
    return f"{ref}.json"


def refs_of(names: Iterable[str]) -> tuple[AdapterRef, ...]:
    """Read refs off the names of such files, by name and version; skip others."""
    found: list[AdapterRef] = []
    for name in names:
        # A file of another name is none of ours; a ref is found by its name.
        with contextlib.suppress(RefError):
            found.append(AdapterRef(name.removesuffix(".json")))
    return tuple(sorted(found, key=lambda ref: (ref.name, ref.version)))


def encode(binding: Binding) -> bytes:
    """Write a binding as indented JSON, the same bytes for the same files."""
    raw = msgspec.json.encode(binding, enc_hook=encode_hook)
    return msgspec.json.format(raw, indent=2) + b"\n"


def decode(raw: bytes, ref: AdapterRef) -> Binding:
    """Read the binding of a ref.

    Raises:
        ManifestError: it is malformed, of another ref, or its digest is not that
            of the files that it lists.
    """
    binding = parse(raw, Binding, file_name(ref))
    if binding.ref != ref or binding.digest != _tree(binding.files):
        raise ManifestError(file_name(ref), "contradicts itself")
    return binding


def _tree(files: dict[str, Stored]) -> str:
    return files_digest({name: stored.sha256 for name, stored in files.items()})
