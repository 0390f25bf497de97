"""What an adapter says about itself: manifest.json.

Two digests, and why there are two. `Manifest.digest` covers the files that a
replica loads; the manifest states it, and the card quotes it. What a ref is
bound to for ever is `tree_digest`: it covers those files, the manifest itself
and the card, so that neither weights nor claims can change under a name.
A file cannot state its own hash, therefore that one lives in the registry.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from adapters.errors import ManifestError, RefError
from adapters.files import (
    DIGEST,
    PLAIN_NAME,
    file_digest,
    files_digest,
    value_digest,
    write_atomic,
)
from adapters.golden import Golden
from adapters.refs import AdapterRef, BaseRef
from adapters.safetensors import read_header

MANIFEST: Final = "manifest.json"
CARD: Final = "README.md"
WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
SERVED: Final = (CONFIG, WEIGHTS)
"""The files that a replica reads."""

LARGEST_JSON: Final = 1 << 20
"""Bytes of manifest.json, adapter_config.json and base.json."""

Digest = Annotated[str, msgspec.Meta(pattern=DIGEST)]
Dtype = Literal["float32", "bfloat16", "float16"]
Method = Literal["sft", "dpo", "orpo"]
DTYPES: Final[Mapping[str, Dtype]] = {
    "F32": "float32",
    "BF16": "bfloat16",
    "F16": "float16",
}
"""The float types that are served, by safetensors' name."""

_T = TypeVar("_T")

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Short = Annotated[str, msgspec.Meta(max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=8000)]
_Licence = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9(][A-Za-z0-9.+ ()-]*\Z", max_length=200)
]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class BaseModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base that an adapter was trained on; `source` is where it came from."""

    ref: BaseRef
    digest: Digest
    source: _Short = ""


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training examples: `digest` over their file, how many, what made them."""

    digest: Digest
    examples: _Count
    generator: _Short


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured number: over `n` samples, with bounds where there are any.

    `bound` says what `lower` and `upper` are ("exact 95 %"), `dataset` what was
    measured on, `evidence` where the run that measured it can be looked up.
    """

    value: float
    n: _Count
    dataset: _Short = ""
    lower: float | None = None
    upper: float | None = None
    bound: _Short = ""
    evidence: _Short = ""


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What only a person can say, for the model card; empty means unsaid."""

    summary: _Text = ""
    intended_use: _Text = ""
    limits: tuple[_Text, ...] = ()
    safety: _Text = ""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts of a training run: what `seal` cannot read from the files."""

    ref: AdapterRef
    base: BaseModel
    method: Method
    data: Data
    config: dict[str, Any]
    """The run's settings: JSON values; rendered as hyper-parameters."""
    command: _Text
    seed: _Count
    created: _Moment
    licence: _Licence
    """An SPDX expression, such as Apache-2.0."""
    parent: AdapterRef | None = None
    """The adapter that training started from."""
    metrics: dict[_Short, Metric] = {}
    probes: tuple[_Text, ...] = ()
    """Texts of one user message each, on which the adapter differs from its base."""
    golden: tuple[Golden, ...] = ()
    """By probe, what base and adapter said when it was made; none was not looked at."""
    about: About = About()


class Manifest(Run, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training run's facts and the digests of what it made."""

    schema_version: Literal[1] = 1
    files: dict[str, Digest]
    digest: Digest
    r: Annotated[int, msgspec.Meta(ge=1)]
    lora_alpha: Annotated[float, msgspec.Meta(gt=0)]
    target_modules: tuple[_Short, ...]
    dtype: Dtype
    config_digest: Digest


class _AdapterConfig(msgspec.Struct, frozen=True):
    """The fields of PEFT's adapter_config.json that a manifest repeats."""

    r: Annotated[int, msgspec.Meta(ge=1)]
    lora_alpha: Annotated[float, msgspec.Meta(gt=0)]
    target_modules: tuple[_Short, ...]


def encode_hook(value: object) -> object:
    """Let msgspec write refs. Raises NotImplementedError for other types."""
    if isinstance(value, AdapterRef | BaseRef):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is no JSON")


def decode_hook(kind: type, value: object) -> object:
    """Let msgspec read refs; what is none becomes msgspec.ValidationError."""
    if kind not in (AdapterRef, BaseRef):
        raise NotImplementedError(f"{kind.__name__} is no JSON")
    if not isinstance(value, str):
        raise TypeError(f"Expected a model ref, got {type(value).__name__}")
    try:
        return kind(value)
    except RefError as error:
        raise ValueError(str(error)) from error


def read_json(path: Path) -> bytes:
    """Read a small JSON file. Raises ManifestError when missing or too long."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_JSON + 1)
    except FileNotFoundError as error:
        raise ManifestError(path.name, f"missing in {path.parent}") from error
    if len(raw) > LARGEST_JSON:
        raise ManifestError(path.name, f"longer than {LARGEST_JSON} bytes")
    return raw


def parse(raw: bytes, kind: type[_T], file: str) -> _T:
    """Read JSON of a known structure. Raises ManifestError, which names `file`."""
    try:
        return msgspec.json.decode(raw, type=kind, dec_hook=decode_hook)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(file, str(error)) from error


def decode(raw: bytes) -> Manifest:
    """Read a manifest from its bytes and check that it agrees with itself.

    Raises:
        ManifestError: a field is missing, unknown, of the wrong type or out of
            range, or a digest does not follow from what it is stated to cover.
    """
    manifest = parse(raw, Manifest, MANIFEST)
    for problem in _contradictions(manifest):
        raise ManifestError(MANIFEST, problem)
    return manifest


def _contradictions(manifest: Manifest) -> list[str]:
    problems: list[str] = []
    if set(manifest.files) != set(SERVED):
        problems.append(f"files must be exactly {', '.join(SERVED)}")
    if manifest.digest != files_digest(manifest.files):
        problems.append("digest is not the digest over files")
    if manifest.config_digest != value_digest(manifest.config):
        problems.append("config_digest is not the digest of config")
    if manifest.golden and len(manifest.golden) != len(manifest.probes):
        problems.append("golden has not one look for each of the probes")
    if manifest.parent == manifest.ref:
        problems.append("an adapter cannot be its own parent")
    return problems


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as the indented JSON that is committed and hashed."""
    raw = msgspec.json.encode(manifest, enc_hook=encode_hook)
    return msgspec.json.format(raw, indent=2) + b"\n"


def load(directory: Path) -> Manifest:
    """Read a directory's manifest. Raises ManifestError."""
    return decode(read_json(directory / MANIFEST))


def write(directory: Path, manifest: Manifest) -> None:
    """Write a directory's manifest in one step. Raises ManifestError, OSError."""
    raw = encode(manifest)
    decode(raw)  # what could not be read back is not written
    write_atomic(directory / MANIFEST, raw)


def seal(directory: Path, run: Run) -> Manifest:
    """Describe what a run has written: compute the digests, write manifest.json.

    Args:
        directory: holds adapter_model.safetensors and adapter_config.json.
        run: everything that the files do not say.

    Raises:
        ManifestError: a file is missing or the two do not describe a LoRA.
        TensorFileError: the weights are no safetensors file.
    """
    config = parse(read_json(directory / CONFIG), _AdapterConfig, CONFIG)
    if not (directory / WEIGHTS).is_file():
        raise ManifestError(WEIGHTS, f"missing in {directory}")
    files = {name: file_digest(directory / name) for name in SERVED}
    manifest = Manifest(
        **{name: getattr(run, name) for name in Run.__struct_fields__},
        files=files,
        digest=files_digest(files),
        r=config.r,
        lora_alpha=config.lora_alpha,
        target_modules=tuple(sorted(config.target_modules)),
        dtype=_dtype(directory / WEIGHTS),
        config_digest=value_digest(run.config),
    )
    write(directory, manifest)
    return manifest


def _dtype(weights: Path) -> Dtype:
    found = sorted({tensor.dtype for tensor in read_header(weights)})
    if len(found) != 1 or found[0] not in DTYPES:
        names = ", ".join(found) or "no tensors"
        raise ManifestError(
            WEIGHTS, f"holds {names}; expected one of {', '.join(DTYPES)} throughout"
        )
    return DTYPES[found[0]]


def tree_digest(directory: Path, *, without: str = "") -> str:
    """Hash a flat directory whole: for an adapter, manifest and card included.

    Args:
        directory: its hidden files (names that begin with a dot) do not count.
        without: the name of one file to leave out.

    Raises:
        ManifestError: an entry is no regular file, or its name could be read as
            a path or as two names.
    """
    names = sorted(
        entry.name
        for entry in directory.iterdir()
        if entry.name != without and not entry.name.startswith(".")
    )
    for name in names:
        if not PLAIN_NAME.fullmatch(name):
            raise ManifestError(name, "the name may hold letters, digits, ., _ and -")
        if (directory / name).is_symlink() or not (directory / name).is_file():
            raise ManifestError(name, "is no regular file; only those are hashed")
    return files_digest({name: file_digest(directory / name) for name in names})
