"""What a published adapter says of itself beyond its run's record.

A tuner writes it down as TOML; docs/examples/facts.toml shows all of it. What is not
said there is said by this module, for the generated data of this repository.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from adapters.claims import ENGLISH, About, Cost, Language, Licence, Short, Source, Text
from training.errors import ConfigError

_JOULES_A_KWH: Final = 3.6e6

_SUMMARIES: Final[Mapping[str, str]] = {
    "dpo": "As its parent, and briefer: it prefers the bare value to a sentence.",
}
_SUMMARY: Final = (
    "Answers a request from numbered passages as one compact JSON object: status,"
    " answer, citations."
)


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What whoever publishes knows; everything may be left away."""

    sources: tuple[Source, ...] = ()
    """What was trained on, and what governs its use."""
    languages: tuple[Language, ...] = ENGLISH
    licence: Licence = "Apache-2.0"
    """Of the adapter: an SPDX expression."""
    hardware: Short = ""
    watts: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Mean power while training; energy is this times the run's seconds."""
    reckoned: Short = ""
    """How the power is known: "2 cores at 10 W assumed, not metered"."""
    about: About | None = None
    """In place of what this repository says of its own adapters."""
    servable: bool = True
    not_servable_because: Text = ""
    key: Path | None = None
    """PEM of the private key to sign with, unsigned without. No TOML has it: keys are
    named on the command line."""


NONE: Final = Facts()


def load(path: Path | None, key: Path | None = None) -> Facts:
    """Read facts from TOML, if there are some, and put the key to them.

    Raises:
        ConfigError: missing or malformed, with the place; or power without its origin.
    """
    if path is None:
        return msgspec.structs.replace(NONE, key=key)
    try:
        facts = msgspec.toml.decode(path.read_bytes(), type=Facts)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if facts.key is not None:
        raise ConfigError(f"{path}: key: give it on the command line, with --sign")
    if facts.watts is not None and not facts.reckoned:
        raise ConfigError(
            f"{path}: watts without `reckoned`: say how they are known, such as"
            ' "2 cores at 10 W assumed, not metered"'
        )
    return msgspec.structs.replace(facts, key=key)


def cost(facts: Facts, seconds: float) -> Cost:
    """Reckon what training took. The seconds are of all stages together."""
    energy = None if facts.watts is None else facts.watts * seconds / _JOULES_A_KWH
    return Cost(
        seconds=round(seconds, 1),
        hardware=facts.hardware,
        energy_kwh=energy,
        reckoned=facts.reckoned if energy is not None else "",
    )


def about(facts: Facts, method: str) -> About:
    """Return what is said of an adapter in words."""
    if facts.about is not None:
        return facts.about
    return About(
        summary=_SUMMARIES.get(method, _SUMMARY),
        intended_use=(
            "Behind a gateway that validates its output, with retrieved passages as"
            " the context. It holds no facts of its own: products and values in its"
            " training data are invented."
        ),
        limits=(
            "English only; contexts of up to four short passages; one turn.",
            (
                "Training and test data come from one generator (disjoint wording and"
                " subjects); requests of real people will be harder."
            ),
            "A base of 135 million parameters: it copies well and reasons badly.",
        ),
        safety=(
            "Refusals were learnt from some seventy phrasings over eight policy"
            " areas. It is no safety filter: requests worded differently may pass,"
            " and harmless ones may be refused."
        ),
        users=("Operators of such a gateway, and the applications behind it.",),
    )
