"""What an adapter says about itself: manifest.json.

Two digests, and why there are two. `Manifest.digest` covers the files that a
replica loads; the manifest states it, and the card quotes it. What a ref is
bound to for ever is `tree_digest`: it covers those files, the manifest itself
and the card, so that neither weights nor claims can change under a name.
A file cannot state its own hash, therefore that one lives in the registry.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from adapters.claims import (
    About,
    BaseModel,
    Cost,
    Count,
    Data,
    Digest,
    Licence,
    Method,
    Metric,
    Moment,
    Short,
    Text,
)
from adapters.errors import ManifestError, RefError
from adapters.files import (
    PLAIN_NAME,
    file_digest,
    files_digest,
    value_digest,
    write_atomic,
)
from adapters.golden import Golden
from adapters.refs import AdapterRef, BaseRef

MANIFEST: Final = "manifest.json"
CARD: Final = "README.md"
BOM: Final = "bom.json"
WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
TENSORS: Final = ".safetensors"
SERVED: Final = (CONFIG, WEIGHTS)
"""The files that a replica reads."""

LARGEST_JSON: Final = 1 << 20
"""Bytes of manifest.json, adapter_config.json and base.json."""

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPES: Final[Mapping[str, Dtype]] = {
    "F32": "float32",
    "BF16": "bfloat16",
    "F16": "float16",
}
"""The float types that are served, by safetensors' name."""

_T = TypeVar("_T")
Rank = Annotated[int, msgspec.Meta(ge=1)]
Alpha = Annotated[float, msgspec.Meta(gt=0)]

_LATER: Final[Mapping[str, Any]] = {
    "golden": [],
    "cost": None,
    "servable": True,
    "not_servable_because": "",
}
"""What came after the first adapters, and the values with which it is left away."""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts of a training run: what `seal` cannot read from the files."""

    ref: AdapterRef
    base: BaseModel
    method: Method
    data: Data
    config: dict[str, Any]
    """The run's settings: JSON values; rendered as hyper-parameters."""
    command: Text
    seed: Count
    created: Moment
    licence: Licence
    """An SPDX expression, such as Apache-2.0."""
    parent: AdapterRef | None = None
    """The adapter that training started from."""
    metrics: dict[Short, Metric] = {}
    probes: tuple[Text, ...] = ()
    """Texts of one user message each, on which the adapter differs from its base."""
    golden: tuple[Golden, ...] = ()
    """By probe, what base and adapter said when it was made; none was not looked at."""
    about: About = About()
    cost: Cost | None = None
    servable: bool = True
    """Whether vLLM can serve it; it serves LoRA adapters alone."""
    not_servable_because: Text = ""


class Manifest(Run, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training run's facts and the digests of what it made."""

    schema_version: Literal[1] = 1
    files: dict[str, Digest]
    digest: Digest
    r: Rank | None = None
    """None, as `lora_alpha`, if it is no LoRA; then it is not servable."""
    lora_alpha: Alpha | None = None
    target_modules: tuple[Short, ...] = ()
    dtype: Dtype
    config_digest: Digest


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
    problems = [*_shape_problems(manifest), *_claim_problems(manifest)]
    if manifest.digest != files_digest(manifest.files):
        problems.append("digest is not the digest over files")
    if manifest.config_digest != value_digest(manifest.config):
        problems.append("config_digest is not the digest of config")
    return problems


def _shape_problems(manifest: Manifest) -> list[str]:
    problems: list[str] = []
    if manifest.servable:
        if set(manifest.files) != set(SERVED):
            problems.append(f"files must be exactly {', '.join(SERVED)}")
        if manifest.r is None or manifest.lora_alpha is None:
            problems.append("r or lora_alpha is missing: only a LoRA is servable")
    elif not any(name.endswith(TENSORS) for name in manifest.files):
        problems.append(f"files has no weights (*{TENSORS})")
    if manifest.servable == bool(manifest.not_servable_because.strip()):
        problems.append("not_servable_because says why if servable is false, only then")
    return problems


def _claim_problems(manifest: Manifest) -> list[str]:
    problems: list[str] = []
    if manifest.golden and len(manifest.golden) != len(manifest.probes):
        problems.append("golden has not one look for each of the probes")
    if manifest.parent == manifest.ref:
        problems.append("an adapter cannot be its own parent")
    cost = manifest.cost
    if cost and cost.energy_kwh is not None and not cost.reckoned:
        problems.append("cost.reckoned is empty: say how energy_kwh was come by")
    if not manifest.data.languages:
        problems.append("data.languages is empty: name one, or leave it away (en)")
    return problems


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as the indented JSON that is committed and hashed."""
    document = msgspec.to_builtins(manifest, enc_hook=encode_hook)
    for name, nothing in _LATER.items():
        if document[name] in (nothing, ()):
            del document[name]
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def load(directory: Path) -> Manifest:
    """Read a directory's manifest. Raises ManifestError."""
    return decode(read_json(directory / MANIFEST))


def write(directory: Path, manifest: Manifest) -> None:
    """Write a directory's manifest in one step. Raises ManifestError, OSError."""
    raw = encode(manifest)
    decode(raw)  # what could not be read back is not written
    write_atomic(directory / MANIFEST, raw)


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
