"""The last known present on disk: for a start while a shared store is away."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from gateway.live import Present
from routing.errors import FlagError

_LOG: Final = logging.getLogger("wastegate")
_DECODER: Final = msgspec.json.Decoder(Present)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def load(path: Path) -> Present | None:
    """Return what was last known; None if there is nothing or it cannot be read.

    The configuration stands in for what cannot be read, and the log says so.
    """
    try:
        return _DECODER.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, FlagError) as error:
        _LOG.error("%s is no use, the configuration is: %s", path, error)
        return None


def save(path: Path, present: Present) -> None:
    """Replace the file, whole or not at all, for its owner alone.

    Raises:
        OSError: the disk refuses; what was there is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # one name for each process: several gateways of a machine may share the file
    new = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_ENCODER.encode(present))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def keeper(path: Path) -> Callable[[Present], None]:
    """Return what saves each present in a thread, in order, and logs what fails."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="wastegate-last-known")

    def attempt(present: Present) -> None:
        try:
            save(path, present)
        except OSError as error:
            _LOG.error("%s was not written: %s", path, error)

    def keep(present: Present) -> None:
        thread.submit(attempt, present)

    return keep
