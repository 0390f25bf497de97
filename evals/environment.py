"""Where the gateway is and which keys open it: the environment, or var/local.env."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from evals.errors import SetupError

LOCAL_ENV: Final = Path("var/local.env")
NAMES: Final = (
    "WASTEGATE_URL",
    "WASTEGATE_ADMIN_URL",
    "WASTEGATE_KEY",
    "WASTEGATE_ADMIN_KEY",
)


class Access(msgspec.Struct, frozen=True):
    """Both planes of a running gateway."""

    url: str
    admin_url: str
    key: str
    admin_key: str


def access(environ: Mapping[str, str], local_env: Path = LOCAL_ENV) -> Access:
    """Take each setting from the environment, else from the file of `make up`.

    Raises `SetupError` with the names that neither has.
    """
    found = _read(local_env)
    found.update({name: environ[name] for name in NAMES if environ.get(name)})
    missing = [name for name in NAMES if not found.get(name)]
    if missing:
        raise SetupError(
            f"{', '.join(missing)} not set, and not in {local_env};"
            " `make up` writes that file, or set them in the environment"
        )
    url, admin_url, key, admin_key = (found[name] for name in NAMES)
    return Access(url.rstrip("/"), admin_url.rstrip("/"), key, admin_key)


def _read(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    found: dict[str, str] = {}
    for line in file.read_text().splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found
