"""The adapters that come with the repository, put into the local registry."""

from pathlib import Path

from adapters.errors import AdapterError
from gateway.host.errors import StepFailedError


def register(shipped: Path, registry: Path) -> list[str]:
    """Register every adapter under a directory; what is registered stays so.

    Args:
        shipped: holds one directory an adapter, each with its manifest.
        registry: the registry's root; made when it is not there.

    Returns:
        One line for each adapter.

    Raises:
        StepFailedError: one of them was refused.
    """
    manifests = sorted(shipped.glob("*/manifest.json"))
    if not manifests:
        return ["none are shipped"]
    from adapters.registry import Registry  # noqa: PLC0415 - `down` does without it

    registry.mkdir(parents=True, exist_ok=True)
    books = Registry(registry)
    told: list[str] = []
    for manifest in manifests:
        try:
            entry = books.add(manifest.parent)
        except AdapterError as error:
            raise StepFailedError(
                f"{manifest.parent.name} cannot be registered: {error}",
                f"restore {manifest.parent} (git checkout), or clear {registry}",
            ) from error
        told.append(f"{entry.ref} is registered ({entry.digest[:12]})")
    return told
