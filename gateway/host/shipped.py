"""The adapters that come with the repository, put into the local registry."""

from pathlib import Path

import msgspec

from adapters.errors import AdapterError
from gateway.host.errors import StepFailedError


def register(shipped: Path, registry: Path, base: Path | None) -> list[str]:
    """Register every adapter under a directory; what is registered stays so.

    Args:
        shipped: holds one directory an adapter, each with its manifest.
        registry: the registry's root; made when it is not there.
        base: the base model that will serve them, to check them against; None when
            another machine has it.

    Returns:
        One line for each adapter.

    Raises:
        StepFailedError: one of them was refused.
    """
    told = [
        _register_one(manifest.parent, registry, base)
        for manifest in sorted(shipped.glob("*/manifest.json"))
    ]
    return told or ["none are shipped"]


def _register_one(source: Path, registry: Path, base: Path | None) -> str:
    # Imported here, since `down` and `doctor` must do without it.
    from adapters.registry import Registry  # noqa: PLC0415

    from adapters import preflight  # noqa: PLC0415
    from adapters.base import load_base  # noqa: PLC0415

    def check(stage: Path) -> None:
        if base is not None:
            config = msgspec.json.decode((base / "config.json").read_bytes())
            digest = load_base(base).digest
            preflight.check(stage, config, digest, preflight.Limits())

    try:
        entry = Registry(registry).add(source, check)
    except (AdapterError, OSError) as error:
        raise StepFailedError(
            f"{source.name} cannot be registered: {error}",
            f"restore {source} (git checkout), or remove {registry}, and run make up",
        ) from error
    return f"{entry.ref} is registered ({entry.digest[:12]})"
