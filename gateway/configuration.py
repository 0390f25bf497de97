"""Reading the configuration: several files laid over each other, and checked whole.

A later file is laid over the earlier ones (tables are merged, everything else is
replaced), so that keys can live in a file of their own with mode 600. An unknown key or
a bad value stops the start with the key's path.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from adapters.errors import RefError
from adapters.refs import AdapterRef, BaseRef
from gateway.errors import SettingsError
from gateway.settings import AUTO, Admin, Settings, Surface


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


def _adapters(settings: Settings) -> None:
    there = sorted(set(settings.engine.regions.values()))
    for name, policy in settings.adapters.items():
        _parsed(f"adapters.{name}", AdapterRef, f"{name}@v1")
        for key, named, known in (
            ("regions", policy.regions, there),
            ("tenants", policy.tenants, sorted(settings.tenants)),
        ):
            for each in named:
                if each not in known:
                    raise SettingsError(
                        f"adapters.{name}.{key}",
                        f"there is no `{each}` (known: {', '.join(known) or 'none'})",
                    )


def _regions(settings: Settings) -> None:
    engine = settings.engine
    for url in engine.regions.keys() - set(engine.replicas):
        raise SettingsError(
            "engine.regions", f"{url} is none of engine.replicas; name one of those"
        )
    there = set(engine.regions.values())
    known = ", ".join(sorted(there)) or "none: see engine.regions"
    for name, tenant in settings.tenants.items():
        if tenant.region and tenant.region not in there:
            raise SettingsError(
                f"tenants.{name}.region",
                f"no replica is in `{tenant.region}` (known: {known})",
            )


_CHECKS = (_keys, _surfaces, _refs, _weights, _tokens, _workers, _regions, _adapters)
