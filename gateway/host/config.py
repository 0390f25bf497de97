"""The few lines of wastegate.toml that the machine's side needs.

The gateway itself reads and checks the whole file (`gateway.settings`); here only
addresses, the base model and the registry's place are of interest, so keys that
are not named here pass unseen.
"""

from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec

from gateway.host.errors import ConfigError

_DEFAULT_TENANT: Final = "acme"
_ASSISTANT: Final = "schemas/assist.json"


class GatewaySection(msgspec.Struct, frozen=True):
    listen: str = "127.0.0.1:8080"
    admin_listen: str = "127.0.0.1:8081"


class EngineSection(msgspec.Struct, frozen=True):
    replicas: tuple[str, ...]
    base: str = "smollm2-135m-instruct@1.0"
    served_model_name: str = "base"


class RegistrySection(msgspec.Struct, frozen=True):
    path: str = "var/adapters"


class SurfaceSection(msgspec.Struct, frozen=True):
    schema: str | None = None
    probes: str | None = None


class TenantSection(msgspec.Struct, frozen=True):
    surfaces: tuple[str, ...] = ()


class StackConfig(msgspec.Struct, frozen=True):
    """What `up`, `down` and `doctor` know of the configuration."""

    engine: EngineSection
    tenants: dict[str, TenantSection]
    gateway: GatewaySection = GatewaySection()
    registry: RegistrySection = RegistrySection()
    surfaces: dict[str, SurfaceSection] = {}

    @property
    def tenant(self) -> str:
        """The tenant that gets the locally made key: acme, else the first one."""
        if _DEFAULT_TENANT in self.tenants:
            return _DEFAULT_TENANT
        return next(iter(self.tenants))

    @property
    def unprobed(self) -> tuple[str, ...]:
        """Surfaces that answer as the assistant does and name no questions."""
        return tuple(
            name
            for name, surface in self.surfaces.items()
            if surface.schema == _ASSISTANT and surface.probes is None
        )

    @property
    def engine_is_here(self) -> bool:
        """Whether the replica is one that this machine is to run."""
        host = urlsplit(self.engine.replicas[0]).hostname
        return host in {"127.0.0.1", "localhost", "::1"}

    @property
    def url(self) -> str:
        return f"http://{reachable(self.gateway.listen)}"

    @property
    def admin_url(self) -> str:
        return f"http://{reachable(self.gateway.admin_listen)}"


def reachable(listen: str) -> str:
    """Turn an address to listen on into one to connect to."""
    host, _, port = listen.rpartition(":")
    return f"127.0.0.1:{port}" if host in {"0.0.0.0", "", "[::]"} else listen  # noqa: S104 - read, not bound


def port_of(address: str) -> int:
    """Return the port of "host:port" or of a URL.

    Raises:
        ConfigError: there is none.
    """
    text = address if "://" in address else f"//{address}"
    try:
        parts = urlsplit(text)
        port = parts.port or (80 if parts.scheme == "http" else None)
    except ValueError:
        port = None
    if port is None:
        raise ConfigError(
            f"{address!r} has no port", "write it as host:port or http://host:port"
        )
    return port


def without_slash(url: str) -> str:
    """Check an engine's address as people type it.

    Raises:
        ConfigError: it is not http(s)://HOST[:PORT].
    """
    bare = url.rstrip("/")
    try:
        parts = urlsplit(bare)
        right = parts.scheme in {"http", "https"} and parts.hostname and not parts.path
        _ = parts.port
    except ValueError:
        right = False
    if not right:
        raise ConfigError(
            f"ENGINE_URL is {url!r}", "write it as http://HOST:PORT, without a path"
        )
    return bare


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one document over another: tables merge, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(
                cast("dict[str, Any]", below), cast("dict[str, Any]", value)
            )
        else:
            merged[key] = value
    return merged


def load(paths: tuple[Path, ...]) -> StackConfig:
    """Read configuration files, later ones over earlier ones.

    Raises:
        ConfigError: a file is missing, is not TOML, or lacks what the stack needs.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, _read(path))
    try:
        config = msgspec.convert(merged, StackConfig)
    except msgspec.ValidationError as error:
        names = ", ".join(str(path) for path in paths)
        raise ConfigError(f"{names}: {error}", _RIGHT) from None
    if not config.tenants or not config.engine.replicas:
        what = "tenants" if not config.tenants else "engine.replicas"
        raise ConfigError(f"{what}: there must be at least one", _RIGHT)
    return config


_RIGHT: Final = "compare with the commented example, wastegate.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist", "run this in the repository's root, or --config F"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", _RIGHT) from None
