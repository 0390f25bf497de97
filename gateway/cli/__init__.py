"""The command line's clients of a running gateway, one file a group."""

from gateway.cli import adapter, explain, flag, key, kill, rollback, rollout, store
from gateway.cli.arguments import Add


def register(add: Add) -> None:
    """Add every group that talks to the control plane."""
    for group in (flag, kill, rollback, rollout, adapter, explain, store, key):
        group.register(add)
