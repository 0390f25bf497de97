"""Configuration: the seed of the state and the limits, read once, frozen, checked.

Several files may be given; a later one is laid over the earlier (tables are merged,
everything else is replaced), so that keys can live in a file of their own with mode
600. An unknown key or a bad value stops the start with the key's path.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import msgspec

from adapters.errors import RefError
from adapters.refs import AdapterRef, BaseRef
from gateway.api.limits import Limits
from gateway.engine.port import Timeouts
from gateway.errors import SettingsError
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
    poll_seconds: Seconds = 1.0
    """How often a replica is looked at. Its death is noticed by a request sooner."""


class Registry(Section, frozen=True):
    """Where registered adapters lie."""

    path: str = "var/adapters"
    base_path: str = "var/models"
    """Directory that holds the base checkpoints, each under its ref."""


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
    show_raw: bool = False
    """Whether an output that is refused is shown in the error. It is unchecked text."""
    keep: Literal["none", "flawed", "all"] = "none"
    """Which checked outputs are kept for training, prompts and all, scrubbed: `flawed`
    are the repaired and the refused, and whatever gets feedback. Opt-in: it is text."""


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
    limits: Limits = Limits()
    keep: KeepLimits = KeepLimits()

    @property
    def flag(self) -> FlagSeed:
        """The seed of `GENERATOR`."""
        return self.flags.get("GENERATOR", FlagSeed())


def load(paths: Sequence[Path], environ: Mapping[str, str]) -> Settings:
    """Read, overlay, check.

    Args:
        paths: TOML files, later ones over earlier ones.
        environ: `GENERATOR`, when set, is the flag's default.

    Raises:
        SettingsError: naming the key's path and what would be right.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        merged = _merge(merged, _anchored(_read(path), path.parent))
    if generator := environ.get("GENERATOR"):
        merged = _merge(merged, {"flags": {"GENERATOR": {"default": generator}}})
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise _explained(error) from error
    for check in _CHECKS:
        check(settings)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(str(path), "no such file; --config names it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), f"cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(str(path), f"is not TOML: {error}") from error


def _anchored(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    """Schema paths are relative to the file that names them; make them so."""
    surfaces = raw.get("surfaces")
    tables = [raw.get("schemas")]
    if isinstance(surfaces, dict):
        tables += cast("dict[str, Any]", surfaces).values()
    for given in tables:
        if isinstance(given, dict):
            table = cast("dict[str, Any]", given)
            named = (
                ("schema", "probes")
                if given is not raw.get("schemas")
                else tuple(table)
            )
            for key in named:
                if isinstance(table.get(key), str):
                    table[key] = str(base / table[key])
    return raw


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = (
            _merge(cast("dict[str, Any]", below), cast("dict[str, Any]", value))
            if both
            else value
        )
    return merged


def _explained(error: msgspec.ValidationError) -> SettingsError:
    """`Object contains unknown field `x` - at `$.gateway`` becomes `gateway: …`."""
    message, _, where = str(error).partition(" - at `")
    path = where.rstrip("`").removeprefix("key in ").removeprefix("$").lstrip(".")
    return SettingsError(path or "configuration", message)


def _keys(settings: Settings) -> None:
    if not settings.admin.key_sha256:
        raise SettingsError(
            "admin.key_sha256", "needs at least one key; `wastegate key new` makes one"
        )
    if not any(tenant.key_sha256 for tenant in settings.tenants.values()):
        raise SettingsError(
            "tenants", "needs a tenant with a key; `wastegate key new` makes one"
        )
    _unique(
        "admin",
        (k.rpartition("=")[2] for k in _admin_keys(settings.admin)),
    )
    _unique("tenants", (k for t in settings.tenants.values() for k in t.key_sha256))


def _admin_keys(admin: Admin) -> Iterable[str]:
    return (*admin.key_sha256, *admin.read_key_sha256)


def _unique(path: str, hashes: Iterable[str]) -> None:
    seen: set[str] = set()
    for digest in hashes:
        if digest in seen:
            raise SettingsError(
                path, f"key_sha256 {digest[:8]}… is given twice; one key, one holder"
            )
        seen.add(digest)


def _surfaces(settings: Settings) -> None:
    if AUTO in settings.surfaces:
        raise SettingsError(
            f"surfaces.{AUTO}", "is reserved for requests of no surface; rename it"
        )
    for name, tenant in settings.tenants.items():
        for surface in tenant.surfaces:
            if surface not in settings.surfaces:
                known = ", ".join(sorted(settings.surfaces)) or "none"
                raise SettingsError(
                    f"tenants.{name}.surfaces",
                    f"`{surface}` is not configured (known: {known})",
                )
    for name, surface in settings.surfaces.items():
        _surface(f"surfaces.{name}", surface)


def _surface(path: str, surface: Surface) -> None:
    if surface.mode == "constrained" and surface.schema is None:
        raise SettingsError(f"{path}.mode", "`constrained` needs a schema")
    if surface.probes is not None and surface.schema is None:
        raise SettingsError(f"{path}.probes", "need a schema to be checked")
    if surface.last_resort != "none" and surface.mode == "constrained":
        raise SettingsError(
            f"{path}.last_resort",
            "has no use where `mode` is constrained already; leave it out",
        )


def _refs(settings: Settings) -> None:
    _parsed("engine.base", BaseRef, settings.engine.base)
    for generator, ref in settings.generators.items():
        _parsed(f"generators.{generator}", AdapterRef, ref)


def _parsed(path: str, kind: type[BaseRef] | type[AdapterRef], text: str) -> None:
    try:
        kind.parse(text)
    except RefError as error:
        raise SettingsError(path, str(error)) from error


def _weights(settings: Settings) -> None:
    total = settings.flag.lora + settings.flag.lora_pref
    whole = 10_000
    if total > whole:
        raise SettingsError(
            "flags.GENERATOR", f"lora + lora_pref is {total}; at most {whole}"
        )


def _tokens(settings: Settings) -> None:
    if settings.limits.default_max_tokens > settings.limits.max_tokens:
        raise SettingsError(
            "limits.default_max_tokens", "must not exceed limits.max_tokens"
        )


def _workers(settings: Settings) -> None:
    kept = [name for name, each in settings.tenants.items() if each.keep != "none"]
    if settings.gateway.workers > 1 and kept:
        raise SettingsError(
            f"tenants.{kept[0]}.keep",
            "needs `gateway.workers = 1`: feedback has to come to the process that has"
            " answered",
        )


_CHECKS = (_keys, _surfaces, _refs, _weights, _tokens, _workers)
