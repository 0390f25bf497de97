"""The gates of an eval, as `gates.toml` states them, and what was found at each."""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from adapters.verdict import Word
from evals.errors import SetupError
from evals.measures import BY_NAME

GATES: Final = Path(__file__).with_name("gates.toml")

TOKENS: Final = "tokens"
"""The measure of the gate that compares with a baseline."""

By = Literal["locale", "variant", "task"]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One demand on one measure; exactly one of the three kinds of bound."""

    suite: str
    measure: str
    """A name in `evals.measures`, or `tokens`."""
    tasks: tuple[str, ...]
    at_least: _Share | None = None
    at_most: _Share | None = None
    ratio: tuple[float, float] | None = None
    """To the baseline, on samples with valid answers of both."""
    by: By | None = None
    """It has to hold for each value of this field by itself."""
    why: str

    @property
    def asked(self) -> str:
        """The demand in words."""
        each = f", for each {self.by}" if self.by else ""
        if self.at_least is not None:
            return f"at least {self.at_least * 100:g} %{each}"
        if self.at_most is not None:
            return f"at most {self.at_most * 100:g} %{each}"
        low, high = self.ratio or (0.0, 1.0)
        return f"{low:g} to {high:g} of the baseline{each}"


class GateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `gates.toml`."""

    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)]
    gates: dict[str, Gate]
    digest: str = ""
    """SHA-256 of the file, in hex."""


class Finding(msgspec.Struct, frozen=True):
    """What was found at a gate for one generator."""

    name: str
    gate: Gate
    verdict: Word
    n: int
    """Documents that count."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    where: str = ""
    """With `by`: the worst value of the field, whose figures these are."""
    says: str = ""
    """What is missing for a verdict, or what went wrong."""
    failed: tuple[str, ...] = ()
    """Ids of the samples that speak against it."""
    power: float | None = None
    """How often it would pass with these documents if the tune were worth shipping
    (`evals.power`); none where documents hold several samples, or of a ratio."""


def load(path: Path = GATES) -> GateFile:
    """Read a gate file.

    Raises:
        SetupError: naming file, key and what would be right.
    """
    try:
        raw = path.read_bytes()
        found = msgspec.convert(tomllib.loads(raw.decode()), GateFile)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"{path}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SetupError(f"{path}: {error}") from error
    for name, gate in found.gates.items():
        kinds = (gate.at_least, gate.at_most, gate.ratio)
        if sum(kind is not None for kind in kinds) != 1:
            raise SetupError(
                f"{path}: gates.{name}: one of at_least, at_most and ratio is right"
            )
        known = (*BY_NAME, TOKENS)
        if gate.measure not in known:
            raise SetupError(
                f"{path}: gates.{name}.measure: {gate.measure!r} is none of"
                f" {', '.join(known)}"
            )
    digest = hashlib.sha256(raw).hexdigest()
    return msgspec.structs.replace(found, digest=digest)
