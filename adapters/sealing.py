"""Sealing: a run's files are hashed, and its manifest is written beside them."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from adapters.claims import Short
from adapters.errors import ManifestError
from adapters.files import file_digest, files_digest, value_digest
from adapters.manifest import (
    BOM,
    CARD,
    CONFIG,
    DTYPES,
    MANIFEST,
    SERVED,
    TENSORS,
    WEIGHTS,
    Alpha,
    Dtype,
    Manifest,
    Rank,
    Run,
    parse,
    read_json,
    write,
)
from adapters.safetensors import read_header


class _AdapterConfig(msgspec.Struct, frozen=True):
    """The fields of PEFT's adapter_config.json that a manifest repeats."""

    r: Rank
    lora_alpha: Alpha
    target_modules: tuple[Short, ...]


def seal(directory: Path, run: Run) -> Manifest:
    """Describe what a run has written: compute the digests, write manifest.json.

    Args:
        directory: holds adapter_model.safetensors and adapter_config.json; of a run
            that is not servable, nothing but what it has made, whatever that is.
        run: everything that the files do not say.

    Raises:
        ManifestError: a file is missing or the two do not describe a LoRA.
        TensorFileError: the weights are no safetensors file.
    """
    shape = _shape(directory, run)
    names = SERVED if run.servable else _made(directory)
    for name in names:
        if not (directory / name).is_file():
            raise ManifestError(name, f"missing in {directory}")
    files = {name: file_digest(directory / name) for name in names}
    manifest = Manifest(
        **{name: getattr(run, name) for name in Run.__struct_fields__},
        files=files,
        digest=files_digest(files),
        r=shape and shape.r,
        lora_alpha=shape and shape.lora_alpha,
        target_modules=tuple(sorted(shape.target_modules)) if shape else (),
        dtype=_dtype(directory / name for name in names if name.endswith(TENSORS)),
        config_digest=value_digest(run.config),
    )
    write(directory, manifest)
    return manifest


def _shape(directory: Path, run: Run) -> _AdapterConfig | None:
    """Read a LoRA's shape; what is not servable need not be one."""
    try:
        return parse(read_json(directory / CONFIG), _AdapterConfig, CONFIG)
    except ManifestError:
        if run.servable:
            raise
        return None


def _made(directory: Path) -> tuple[str, ...]:
    """Name what a run has made, without what describes it."""
    every = (path.name for path in directory.iterdir())
    return tuple(
        name
        for name in sorted(every)
        if name not in (MANIFEST, CARD, BOM) and not name.startswith(".")
    )


def _dtype(weights: Iterable[Path]) -> Dtype:
    found = sorted({each.dtype for path in weights for each in read_header(path)})
    if len(found) != 1 or found[0] not in DTYPES:
        names = ", ".join(found) or "no tensors"
        raise ManifestError(
            WEIGHTS, f"holds {names}; expected one of {', '.join(DTYPES)} throughout"
        )
    return DTYPES[found[0]]
