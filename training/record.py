"""What a finished run leaves beside its weights: the facts that its manifest quotes."""

import importlib.metadata
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from training import models
from training.config import RunConfig
from training.errors import DataError

RUN_RECORD: Final = "run.json"
DECIDING: Final = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")
"""Packages whose versions decide a run's numbers."""


class Run(msgspec.Struct, frozen=True):
    """A finished run."""

    config: RunConfig
    config_digest: str
    base_digest: str
    data_digest: str
    examples: int
    seconds: float
    """Of training, looks included; over all starts of a run that was interrupted."""
    steps: int
    log: tuple[dict[str, float], ...]
    versions: dict[str, str]
    earlier: tuple["Run", ...] = ()
    """The stages that this one went on from, the first one first."""
    kept: int | UnsetType = UNSET
    """The step whose weights these are, where looks chose it."""
    tokens: int | UnsetType = UNSET
    """Read by the model in all steps, padding not counted."""
    starts: int | UnsetType = UNSET
    """How often the run was begun or gone on with."""


def read_run(trained: Path) -> Run:
    """Read a run's record.

    Raises:
        DataError: there is none.
    """
    try:
        return msgspec.json.decode((trained / RUN_RECORD).read_bytes(), type=Run)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{trained} holds no finished run: {error}") from error


def save(model: Any, draft: Path, run: Run) -> None:
    """Write weights, their configuration and the run's record."""
    models.save(model, draft)
    text = msgspec.json.format(msgspec.json.encode(run), indent=2)
    (draft / RUN_RECORD).write_bytes(text + b"\n")


def versions() -> dict[str, str]:
    """Versions of what decides a run's numbers, of what is installed of it."""
    found: dict[str, str] = {}
    for name in DECIDING:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
