"""The base model's record: base.json in the directory of its files."""

from pathlib import Path
from typing import Annotated, Final

import msgspec

from adapters.errors import ManifestError
from adapters.files import DIGEST, write_atomic
from adapters.manifest import encode_hook, parse, read_json, tree_digest
from adapters.refs import BaseRef

RECORD: Final = "base.json"


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ref: BaseRef
    digest: Annotated[str, msgspec.Meta(pattern=DIGEST)]
    source: str
    command: str


class BaseRecord(msgspec.Struct, frozen=True):
    """A base model on this machine.

    `digest` covers every file beside base.json, `path` is absolute, `source` is
    where the weights came from, `command` what made the files out of them.
    """

    ref: BaseRef
    digest: str
    path: Path
    source: str = ""
    command: str = ""


def seal_base(directory: Path, ref: BaseRef, source: str, command: str) -> BaseRecord:
    """Hash a model's files and write its base.json in one step.

    Raises:
        ManifestError: the directory holds names that are no plain file names.
    """
    digest = tree_digest(directory, without=RECORD)
    written = _Written(ref, digest, source, command)
    raw = msgspec.json.encode(written, enc_hook=encode_hook)
    write_atomic(directory / RECORD, msgspec.json.format(raw, indent=2) + b"\n")
    return load_base(directory)


def load_base(directory: Path) -> BaseRecord:
    """Read a model's record; its files are believed (`verify_base` hashes them).

    Raises:
        ManifestError: base.json is missing or malformed.
    """
    written = parse(read_json(directory / RECORD), _Written, RECORD)
    return BaseRecord(
        ref=written.ref,
        digest=written.digest,
        path=directory.resolve(),
        source=written.source,
        command=written.command,
    )


def verify_base(record: BaseRecord) -> None:
    """Hash the model's files again (0.3 s per 100 MB or so).

    Raises:
        ManifestError: they are not those that were recorded.
    """
    found = tree_digest(record.path, without=RECORD)
    if found != record.digest:
        raise ManifestError(
            RECORD, f"records {record.digest}, the files give {found}; prepare it again"
        )
