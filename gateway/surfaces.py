"""The configured schemas, compiled: those of the surfaces, and what they refer to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import msgspec

from gateway.control.probing import Probe
from gateway.errors import SettingsError
from gateway.pipeline.call import Surface
from gateway.settings import Settings, Surface as SurfaceSettings
from gateway.telemetry.record import AUTO
from structured.errors import ParseError, SchemaError
from structured.parse import parse
from structured.schema import Schema, compile_schema

_PROBE: Final = msgspec.json.Decoder(Probe)


def registered_schemas(settings: Settings) -> Mapping[str, object]:
    """Return every configured schema that names itself, by its `$id`.

    Raises:
        SettingsError: one cannot be read, has no name, or the name of another.
    """
    found: dict[str, object] = {}
    named = {f"schemas.{name}": path for name, path in settings.schemas.items()}
    for name, surface in settings.surfaces.items():
        if surface.schema is not None:
            named[f"surfaces.{name}.schema"] = surface.schema
    for key, path in named.items():
        try:
            document = parse(_read(key, path))
        except ParseError as error:
            raise SettingsError(key, f"{path} is not strict JSON: {error}") from error
        uri = _identifier(document)
        if uri is not None:
            if found.setdefault(uri, document) != document:
                raise SettingsError(key, f"{path}: another schema has the $id {uri!r}")
        elif key.startswith("schemas."):
            raise SettingsError(key, f"{path} has no $id; others refer to it by that")
    return found


def _identifier(document: object) -> str | None:
    if not isinstance(document, dict):
        return None
    named = cast("dict[str, object]", document).get("$id")
    return named if isinstance(named, str) else None


def _read(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(key, f"cannot be read: {error}") from error


def compiled_surfaces(
    settings: Settings, registered: Mapping[str, object]
) -> Mapping[str, Surface]:
    """Return the surfaces by name, `auto` among them, with their schemas compiled.

    Raises:
        SettingsError: a schema does not compile.
    """
    for name, path in settings.schemas.items():
        _compiled(f"schemas.{name}", path, name, registered)
    named = {
        name: _surface(name, each, registered)
        for name, each in settings.surfaces.items()
    }
    return named | {AUTO: Surface(AUTO)}


def probe_sets(settings: Settings) -> Mapping[str, tuple[Probe, ...]]:
    """Return the labelled questions of each surface that has some.

    Raises:
        SettingsError: a file cannot be read, or a line is no question.
    """
    return {
        name: _probes(f"surfaces.{name}.probes", surface.probes)
        for name, surface in settings.surfaces.items()
        if surface.probes is not None
    }


def _probes(key: str, path: str) -> tuple[Probe, ...]:
    found: list[Probe] = []
    known: set[str] = set()
    for number, line in enumerate(_read(key, path).splitlines(), 1):
        try:
            probe = _PROBE.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(
                key,
                f"{path}, line {number}: {error}; a line is"
                ' {"id", "input", "output": {"status", "citations"}}, as in the'
                " training data",
            ) from error
        if probe.id in known:
            raise SettingsError(
                key, f"{path}, line {number}: {probe.id!r} is there twice"
            )
        known.add(probe.id)
        found.append(probe)
    if not found:
        raise SettingsError(
            key, f"{path} has no questions; leave it out, or write some"
        )
    return tuple(found)


def _compiled(
    key: str, path: str, name: str, registered: Mapping[str, object]
) -> Schema:
    try:
        return compile_schema(_read(key, path), name=name, registered=registered)
    except SchemaError as error:
        raise SettingsError(key, f"{path} does not compile: {error}") from error


def _surface(
    name: str, given: SurfaceSettings, registered: Mapping[str, object]
) -> Surface:
    if given.schema is None:
        return Surface(name, unit=given.unit)
    key = f"surfaces.{name}.schema"
    return Surface(
        name=name,
        schema=_compiled(key, given.schema, name, registered),
        mode=given.mode,
        repair=given.repair,
        drop_extra=given.drop_extra,
        reask=given.reask,
        last_resort=given.last_resort,
        stream=given.stream,
        unit=given.unit,
        shadow=given.shadow,
    )
