"""What a manifest claims of an adapter beside its bytes: the parts of it.

Fields that came after the first adapters were shipped are left away while they say
nothing: manifests of then are written as they were, and readers of then take manifests
that need nothing new.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from adapters.files import DIGEST
from adapters.refs import BaseRef

Digest = Annotated[str, msgspec.Meta(pattern=DIGEST)]
Method = Literal["sft", "dpo", "orpo", "rloo"]

Count = Annotated[int, msgspec.Meta(ge=0)]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=8000)]
Licence = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9(][A-Za-z0-9.+ ()-]*\Z", max_length=200)
]
"""An SPDX expression, such as Apache-2.0."""
Language = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")]
"""A BCP 47 tag; the Hugging Face Hub takes its first part."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_Amount = Annotated[float, msgspec.Meta(ge=0)]

ENGLISH: Final = ("en",)


class BaseModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base that an adapter was trained on; `source` is where it came from."""

    ref: BaseRef
    digest: Digest
    source: Short = ""


class Source(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One source of training examples, and what governs its use; empty means unsaid."""

    name: Short
    licence: Licence
    consent: Short = ""
    """On what ground it may be trained on."""
    region: Short = ""
    """Where its subjects are and where it is kept."""
    personal_data: Text = ""
    """The policy by which personal data in it was treated."""
    classification: Short = ""
    """How confidential it is: "public", "internal"."""
    owner: Short = ""
    languages: tuple[Language, ...] = ()
    examples: Count | None = None
    digest: Digest | None = None
    url: Short = ""


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The training examples: `digest` over their file, how many, what made them."""

    digest: Digest
    examples: Count
    generator: Short
    sources: tuple[Source, ...] = ()
    languages: tuple[Language, ...] = ENGLISH


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured number: over `n` samples, with bounds where there are any.

    `bound` says what `lower` and `upper` are ("exact 95 %"), `dataset` what was
    measured on, `evidence` where the run that measured it can be looked up.
    """

    value: float
    n: Count
    dataset: Short = ""
    lower: float | None = None
    upper: float | None = None
    bound: Short = ""
    evidence: Short = ""


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What training took, all stages together."""

    seconds: _Amount
    hardware: Short = ""
    energy_kwh: _Amount | None = None
    reckoned: Short = ""
    """How the energy is known: "2 cores at 10 W assumed, not metered"."""


class About(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What only a person can say, for the model card; empty means unsaid."""

    summary: Text = ""
    intended_use: Text = ""
    limits: tuple[Text, ...] = ()
    safety: Text = ""
    users: tuple[Text, ...] = ()
    """Who is meant to use it."""
