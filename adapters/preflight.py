"""What may be registered: everything that can be known before a replica is asked.

A check holds for the bytes that it read. Whoever lets others write to the
directory runs it on a copy; `Registry.add` does, by its `check` argument.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.errors import ManifestError, NotServable, PreflightError
from adapters.files import file_digest
from adapters.jsontext import strict_object
from adapters.manifest import (
    BOM,
    CARD,
    CONFIG,
    LARGEST_JSON,
    MANIFEST,
    SERVED,
    WEIGHTS,
    Manifest,
    load,
    read_json,
)
from adapters.peft_config import config_problems
from adapters.signature import SIGNATURE
from adapters.weights import base_shapes, weight_problems

OPTIONAL: Final = frozenset({BOM, CARD, SIGNATURE})
"""Files that an adapter may have."""

ALLOWED: Final = frozenset({*SERVED, MANIFEST}) | OPTIONAL
"""The files of an adapter."""

NEEDED: Final = ALLOWED - OPTIONAL
"""The files without which there is no adapter."""

_PICKLES: Final = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class Limits(msgspec.Struct, frozen=True):
    """What the server takes: its --max-lora-rank, and bytes of the weights."""

    max_lora_rank: int = 16
    largest_weights: int = 1 << 28

    def largest(self, name: str) -> int:
        """Bytes that the file of this name may have."""
        return self.largest_weights if name == WEIGHTS else LARGEST_JSON


def check(
    directory: Path, base_config: Mapping[str, Any], base_digest: str, limits: Limits
) -> Manifest:
    """Check an adapter's directory whole, and give back its manifest.

    Args:
        directory: where the adapter's files are.
        base_config: config.json of the base that is served.
        base_digest: digest of that base.
        limits: what the server takes.

    Raises:
        NotServable: it says so itself.
        PreflightError: it is not fit to be served; lists all reasons found.
    """
    refuse_unservable(directory)
    problems = directory_problems(directory, limits)
    if problems:
        # Nothing of a directory that holds links or devices is opened.
        raise PreflightError(problems)
    shapes = base_shapes(base_config)
    config, problems = _read_config(directory)
    if config:
        found = config_problems(config, limits.max_lora_rank)
        problems += [f"{CONFIG}: {problem}" for problem in found]
    manifest: Manifest | None = None
    try:
        manifest = load(directory)
    except ManifestError as error:
        problems.append(str(error))
    rank, targets = config.get("r"), _targets(config)
    if isinstance(rank, int) and targets:
        # Without the two there is no shape to compare with, and said so already.
        problems += weight_problems(directory / WEIGHTS, shapes, rank, targets)
    if manifest is not None:
        problems += _manifest_problems(directory, manifest, config, base_digest)
    if problems or manifest is None:
        raise PreflightError(problems)
    return manifest


def refuse_unservable(directory: Path) -> None:
    """Refuse what says of itself that it cannot be served, before all else is judged.

    Its files may be none of a LoRA, and to list them as wrong would mislead. A manifest
    that cannot be read is left to the other checks.

    Raises:
        NotServable: with the manifest's reason.
    """
    path = directory / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return
        manifest = load(directory)
    except (ManifestError, OSError):
        return
    refuse_by(manifest)


def refuse_by(manifest: Manifest) -> None:
    """Refuse an adapter by its manifest alone. Raises NotServable."""
    if not manifest.servable:
        raise NotServable(manifest.ref, manifest.not_servable_because)


def directory_problems(directory: Path, limits: Limits) -> list[str]:
    """List entries that must not be there, are too large, or are missing."""
    if not directory.is_dir():
        return [f"{directory} is no directory"]
    problems: list[str] = []
    names: set[str] = set()
    for entry in sorted(directory.iterdir()):
        names.add(entry.name)
        problems += _entry_problems(entry, limits)
    problems += [f"{name} is missing" for name in sorted(NEEDED - names)]
    return problems


def _entry_problems(entry: Path, limits: Limits) -> list[str]:
    status = entry.lstat()
    if not stat.S_ISREG(status.st_mode):
        return [f"{entry.name} is {_kind(status.st_mode)}; expected a regular file"]
    if entry.suffix.lower() in _PICKLES:
        remedy = "save the adapter as safetensors"
        return [f"{entry.name} is a pickle, which runs code when loaded; {remedy}"]
    if entry.name not in ALLOWED:
        files = ", ".join(sorted(ALLOWED))
        return [f"{entry.name!r} does not belong here; an adapter has {files}"]
    largest = limits.largest(entry.name)
    if status.st_size > largest:
        return [f"{entry.name} has {status.st_size} bytes; at most {largest}"]
    return []


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    return "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"


def _read_config(directory: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        return strict_object(read_json(directory / CONFIG)), []
    except ValueError as error:
        return {}, [f"{CONFIG}: {error}"]


def _targets(config: Mapping[str, Any]) -> list[str]:
    modules = config.get("target_modules")
    if not isinstance(modules, list):
        return []
    return [str(name) for name in modules]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - a JSON list holds anything


def _manifest_problems(
    directory: Path, manifest: Manifest, config: Mapping[str, Any], base_digest: str
) -> list[str]:
    problems = [
        f"{name}: its sha256 is not the one that the manifest states"
        for name, digest in manifest.files.items()
        if file_digest(directory / name) != digest
    ]
    if manifest.base.digest != base_digest:
        problems.append(
            f"{MANIFEST}: trained on {manifest.base.ref} of digest"
            f" {manifest.base.digest}; the base that is served has {base_digest}"
        )
    stated = {
        "r": (manifest.r, config.get("r")),
        "lora_alpha": (manifest.lora_alpha, config.get("lora_alpha")),
        "target_modules": (sorted(manifest.target_modules), sorted(_targets(config))),
    }
    problems += [
        f"{MANIFEST}: {name} is {said!r}, {CONFIG} has {real!r}"
        for name, (said, real) in stated.items()
        if said != real
    ]
    return problems
