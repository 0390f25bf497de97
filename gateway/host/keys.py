"""The keys of a local stack: made once, told to the gateway only as SHA-256.

`var/local.env` has the keys and addresses for people and the command line,
`var/local.toml` is the overlay for the gateway. Both are readable by their owner
alone. The first is the truth; the second is made from it each time.
"""

import hashlib
import re
import secrets
from pathlib import Path
from typing import Final

import msgspec

from gateway.host.config import StackConfig
from gateway.host.layout import PRIVATE, Layout, write_atomically

_BYTES: Final = 32  # 256 random bits
_KEY: Final = re.compile(r"wg-[A-Za-z0-9_-]{43}")


class Keys(msgspec.Struct, frozen=True):
    """A tenant's key and an administrator's."""

    tenant: str
    admin: str


def make_key() -> str:
    """Make a key of 256 random bits."""
    return f"wg-{secrets.token_urlsafe(_BYTES)}"


def sha256(key: str) -> str:
    """Return what the configuration keeps of a key: 64 hex digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_env(path: Path) -> dict[str, str]:
    """Read a file of NAME=value lines; an absent file is an empty one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def load(layout: Layout) -> Keys | None:
    """Return the keys that an earlier `up` has made, or None."""
    before = read_env(layout.env_file)
    tenant = before.get("WASTEGATE_KEY", "")
    admin = before.get("WASTEGATE_ADMIN_KEY", "")
    if _KEY.fullmatch(tenant) and _KEY.fullmatch(admin):
        return Keys(tenant=tenant, admin=admin)
    return None


def ensure(layout: Layout, config: StackConfig, engine_url: str | None) -> Keys:
    """Write the two files, keeping keys that are there already.

    Args:
        layout: the stack's paths.
        config: the configuration without the overlay.
        engine_url: a vLLM that runs elsewhere, or None.

    Returns:
        The keys.
    """
    keys = load(layout) or Keys(tenant=make_key(), admin=make_key())
    environment = (
        f"WASTEGATE_URL={config.url}\n"
        f"WASTEGATE_ADMIN_URL={config.admin_url}\n"
        f"WASTEGATE_KEY={keys.tenant}\n"
        f"WASTEGATE_ADMIN_KEY={keys.admin}\n"
    )
    write_atomically(layout.env_file, environment.encode(), mode=PRIVATE)
    content = overlay(layout, config, keys, engine_url)
    write_atomically(layout.overlay, content, mode=PRIVATE)
    return keys


def overlay(
    layout: Layout, config: StackConfig, keys: Keys, engine_url: str | None
) -> bytes:
    """Write what is laid over wastegate.toml for this machine."""
    questions = layout.questions.relative_to(layout.overlay.parent)
    lines = [
        "# Written by `wastegate up`; read after wastegate.toml. Do not edit.",
        "[admin]",
        f'key_sha256 = ["local={sha256(keys.admin)}"]',
        f"[tenants.{quoted(config.tenant)}]",
        f'key_sha256 = ["{sha256(keys.tenant)}"]',
    ]
    if engine_url is not None:
        lines += ["[engine]", f"replicas = [{quoted(engine_url)}]"]
    for surface in config.unprobed:
        lines += [f"[surfaces.{quoted(surface)}]", f'probes = "{questions}"']
    return ("\n".join(lines) + "\n").encode()


def quoted(text: str) -> str:
    """Write a TOML string; JSON's escapes are a subset of TOML's."""
    return msgspec.json.encode(text).decode()
