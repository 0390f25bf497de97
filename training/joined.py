"""Preference pairs from several files, as one that a run can name.

What a generator makes up and what an adapter gets wrong are files of their own, and the
second is another on every machine; a run wants one file, by its digest. `join` makes
that file, and writes the run's configuration with the digest in its place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from training import config as configs
from training.data.pairs import Pair
from training.errors import ConfigError
from training.examples import spread
from training.files import whole_directory
from training.preference import PAIRS, dumps, load_pairs, pairs_digest

PLACE: Final = '"DIGEST"'
"""What a configuration has where the digest of its pairs is to be written."""
CONFIG: Final = "run.toml"


class Joined(msgspec.Struct, frozen=True):
    """What was written."""

    pairs: tuple[Pair, ...]
    digest: str
    """sha256 of the file, as a configuration names it."""


def join(
    files: Sequence[Path], out: Path, *, template: Path, limit: int | None = None
) -> Joined:
    """Write `out/pairs.jsonl`, and `out/run.toml` with its digest.

    Args:
        files: JSON lines of pairs; a pair that two of them have is kept once.
        out: a directory, made whole or not at all.
        template: a run's configuration, with "DIGEST" for `pairs.digest`.
        limit: at most so many of each file, spread over it; all without.

    Raises:
        DataError: a file is unreadable or empty, or a line of it is no pair.
        ConfigError: the template has no place for the digest, or is wrong otherwise.
    """
    found: dict[bytes, Pair] = {}
    for path in files:
        pairs = load_pairs(path)
        for each in spread(pairs, limit) if limit else pairs:
            found.setdefault(_content(each), each)
    joined = tuple(found.values())
    digest = pairs_digest(joined)
    text = configs.read(template)
    if text.count(PLACE) != 1:
        raise ConfigError(
            f"{template}: pairs.digest has to be {PLACE}, once: here the digest of the"
            " joined pairs is written"
        )
    text = text.replace(PLACE, f'"{digest}"')
    configs.parse(text, name=str(template))
    with whole_directory(out) as draft:
        (draft / PAIRS).write_bytes(dumps(joined))
        (draft / CONFIG).write_text(text, encoding="utf-8")
    return Joined(joined, digest)


def _content(pair: Pair) -> bytes:
    """All of a pair but its name."""
    return msgspec.json.encode((pair.input, pair.chosen, pair.rejected))
