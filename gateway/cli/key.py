"""`wastegate key new`: a key for somebody, and what the configuration keeps of it."""

import argparse
from typing import Final

from gateway.cli.arguments import Add, group
from gateway.cli.run import local
from gateway.cli.screen import Screen
from gateway.host.keys import make_key, sha256

_NEW: Final = """\
Makes a key of 256 random bits. Give the key to whoever needs it; put its SHA-256 into
wastegate.toml, under [tenants.NAME] or [admin] key_sha256. The key is shown once.

example:
  wastegate key new
"""


def register(add: Add) -> None:
    """Add the group."""
    within = group(add, "key", "make keys")
    within("new", "make a key", _NEW).set_defaults(run=local(show_new))


def show_new(arguments: argparse.Namespace, screen: Screen) -> None:
    """Print a new key and its SHA-256."""
    key = make_key()
    digest = sha256(key)
    screen.show({"key": key, "sha256": digest}, f"key     {key}", f"sha256  {digest}")
