"""The programs that a benchmark runs, and the Debian packages that bring them."""

import shutil
from typing import Final

from bench.errors import BenchError

PACKAGES: Final = {
    "cc": "gcc libc6-dev",
    "nginx": "nginx-light",
    "setpriv": "util-linux",
    "taskset": "util-linux",
    "wrk": "wrk",
}
SEARCH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Debian keeps nginx in sbin, which is not on everybody's PATH."""


def find() -> dict[str, str]:
    """Paths by name.

    Raises `BenchError` with the packages that are missing, all at once.
    """
    found = {
        name: shutil.which(name) or shutil.which(name, path=SEARCH) for name in PACKAGES
    }
    missing = {name: PACKAGES[name] for name, path in found.items() if path is None}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise BenchError(
            f"{', '.join(missing)} not found; on Debian: apt-get install {packages}"
        )
    return {name: path for name, path in found.items() if path is not None}
