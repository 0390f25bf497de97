"""Configuration: the seed of the state and the limits; frozen, each with its unit.

`gateway.configuration` reads it.
"""

from typing import Annotated, Final, Literal

import msgspec

from gateway.api.limits import Limits
from gateway.engine.port import Timeouts
from gateway.isolation import Isolation, Policy
from gateway.keep.limits import KeepLimits
from routing.rules import Generator

Address = Annotated[str, msgspec.Meta(pattern=r"^[\w.:\[\]-]+:\d{1,5}$")]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s]+$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
NamedSha256 = Annotated[str, msgspec.Meta(pattern=r"^([\w.-]+=)?[0-9a-f]{64}$")]
Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
BasisPoints = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]

AUTO: Final = "auto"
"""The `model` of a chat that belongs to no surface; also its label in metrics."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the configuration; a key that it does not know is refused."""


class Gateway(Section, frozen=True):
    """Where the program listens and keeps its state."""

    listen: Address = "127.0.0.1:8080"
    """Data plane."""
    admin_listen: Address = "127.0.0.1:8081"
    """Control plane: a port of its own, so that a firewall can tell them apart."""
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Processes that take requests; each keeps one core busy at most. The first of them
    has the control plane as well."""
    state: str = "sqlite:var/state.db"
    """`sqlite:PATH` for one machine, `redis://HOST:PORT/DB` for several."""
    last_known: str = "var/last-known.json"
    """Where a gateway on a Redis keeps what was last in force, for a start without it."""
    drain_seconds: Seconds = 60.0
    """How long open requests may go on after SIGTERM, and before an unload."""


class Admin(Section, frozen=True):
    """Who may use the control plane; `name=` before a hash is who, in the audit log."""

    key_sha256: tuple[NamedSha256, ...] = ()
    read_key_sha256: tuple[NamedSha256, ...] = ()


class Engine(Section, frozen=True):
    """The vLLM servers and what they serve."""

    base: str = "smollm2-135m-instruct@1.0"
    served_model_name: Annotated[str, msgspec.Meta(min_length=1)] = "base"
    replicas: Annotated[tuple[Url, ...], msgspec.Meta(min_length=1)] = (
        "http://127.0.0.1:8000",
    )
    timeouts: Timeouts = Timeouts()
    max_in_flight: Count = 320
    """Requests on one replica at once: vLLM's default max_num_seqs of 256 times 1.25."""
    max_loras: Count = 4
    """Adapters that a replica holds at once; vLLM's --max-loras."""
    regions: dict[Url, Label] = {}
    """By replica, where it is. A tenant with a `region` is served there only."""
    poll_seconds: Seconds = 1.0
    """How often a replica is looked at. Its death is noticed by a request sooner."""


class Registry(Section, frozen=True):
    """Where registered adapters lie."""

    path: str = "var/adapters"
    base_path: str = "var/models"
    """Directory that holds the base checkpoints, each under its ref."""
    public_key: str | None = None
    """PEM of an elliptic-curve public key. With one, an adapter is loaded only if its
    `model.sig` is an OpenSSF model signature by that key over all its other files."""


class FlagSeed(Section, frozen=True):
    """The first flag document; the store's document wins once there is one."""

    default: Generator = "base"
    lora: BasisPoints = 0
    lora_pref: BasisPoints = 0


class Surface(Section, frozen=True):
    """A place in the product that asks."""

    schema: str | None = None
    """Path of a JSON Schema 2020-12, relative to the file that names it."""
    mode: Literal["free", "constrained"] = "free"
    """`constrained` asks vLLM's structured outputs for the schema while decoding."""
    repair: bool = True
    reask: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    """Second questions after an answer that could not be repaired."""
    drop_extra: bool = False
    """Whether a repair may drop members that the schema does not know, and say so."""
    last_resort: Literal["none", "constrained"] = "none"
    """After free decoding and its second questions have failed: an error, or one more
    generation bound to the schema. Costs a generation, hence opt-in."""
    stream: Literal["validated", "live"] = "validated"
    """`validated` holds a stream until it has passed, `live` only its end."""
    unit: Literal["conversation", "tenant", "request"] = "conversation"
    """What a canary sticks to."""
    shadow: bool = False
    """Whether a rollout may ask its candidate what the control has answered, for nobody
    to see. It costs generations, and asking twice has to be without effect: opt-in."""
    probes: str | None = None
    """JSONL of questions with their right answers, in the form of the training data,
    relative to the file that names it. Rollouts ask their candidate each of them once,
    each step its share; without, the gates `refusals` and `accuracy` can prove nothing."""


class Tenant(Section, frozen=True):
    """Who holds a key, and what it opens."""

    key_sha256: tuple[Sha256, ...] = ()
    surfaces: tuple[Label, ...] = ()
    fallback: Literal["none", "base"] = "none"
    """What answers when the chosen adapter is ready nowhere."""
    region: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9_-]{0,62})?$")] = ""
    """Its requests are served by replicas of this region only; empty: by any."""
    show_raw: bool = False
    """Whether an output that is refused is shown in the error. It is unchecked text."""
    keep: Literal["none", "flawed", "all"] = "none"
    """Which checked outputs are kept for training, prompts and all, scrubbed: `flawed`
    are the repaired and the refused, and whatever gets feedback. Opt-in: it is text."""


class AdapterPolicy(Section, frozen=True):
    """What an adapter is restricted to, in all its versions."""

    tenants: tuple[Label, ...] = ()
    """Whom it may answer; empty: everybody."""
    regions: tuple[Label, ...] = ()
    """Where its weights may be; empty: everywhere."""


class Settings(Section, frozen=True):
    """The whole configuration."""

    gateway: Gateway = Gateway()
    admin: Admin = Admin()
    engine: Engine = Engine()
    registry: Registry = Registry()
    generators: dict[Literal["lora", "lora_pref"], str] = {}
    flags: dict[Literal["GENERATOR"], FlagSeed] = {}
    schemas: dict[Label, str] = {}
    """Paths of schemas that others may refer to by their `$id`."""
    surfaces: dict[Label, Surface] = {}
    tenants: dict[Label, Tenant] = {}
    adapters: dict[str, AdapterPolicy] = {}
    """By an adapter's name, without its version."""
    limits: Limits = Limits()
    keep: KeepLimits = KeepLimits()

    @property
    def flag(self) -> FlagSeed:
        """The seed of `GENERATOR`."""
        return self.flags.get("GENERATOR", FlagSeed())

    @property
    def isolation(self) -> Isolation:
        """Who and what is kept apart."""
        return Isolation(
            {
                name: Policy(frozenset(each.tenants), frozenset(each.regions))
                for name, each in self.adapters.items()
            },
            self.engine.regions,
            {name: each.region for name, each in self.tenants.items()},
        )
