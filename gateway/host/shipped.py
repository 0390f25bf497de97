"""The adapters that come with the repository, put into the local registry."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from adapters import preflight
from adapters.base import load_base
from adapters.errors import AdapterError
from adapters.registry import Registry
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


def fits(base: Path) -> Callable[[Path], None]:
    """Make the check that an adapter has to pass to be served on a base model.

    Args:
        base: the base model's directory.

    Returns:
        A function of the adapter's directory; raises AdapterError.
    """

    def check(adapter: Path) -> None:
        config = msgspec.json.decode((base / "config.json").read_bytes())
        digest = load_base(base).digest
        preflight.check(adapter, config, digest, preflight.Limits())

    return check


def _register_one(source: Path, registry: Path, base: Path | None) -> str:
    books = Registry(registry)
    try:
        entry = books.add(source, fits(base)) if base else books.add(source)
    except (AdapterError, OSError) as error:
        raise StepFailedError(
            f"{source.name} cannot be registered: {error}",
            f"restore {source} (git checkout), or remove {registry}, and run make up",
        ) from error
    return f"{entry.ref} is registered ({entry.digest[:12]})"
