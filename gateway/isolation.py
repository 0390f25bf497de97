"""Who an adapter is for, and where: what keeps tenants and regions apart.

A policy belongs to an adapter's name and so to all its versions, those to come
included: what was trained on a tenant's data does not become everybody's because
somebody forgot to say so again.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

NOWHERE: Final = ""
"""The region of what has none. A tenant of no region may be served anywhere; a replica
of no region serves only such tenants."""


class Policy(msgspec.Struct, frozen=True):
    """What an adapter is restricted to; nothing named is no restriction."""

    tenants: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()

    def for_tenant(self, tenant: str) -> bool:
        """Whether a tenant may be answered by it."""
        return not self.tenants or tenant in self.tenants

    def in_region(self, region: str) -> bool:
        """Whether a replica of a region may hold its weights."""
        return not self.regions or region in self.regions


_OPEN: Final = Policy()


class Isolation(msgspec.Struct, frozen=True):
    """What the configuration keeps apart.

    Args:
        policies: by an adapter's name, without its version.
        replicas: a replica's region, by its URL.
        tenants: a tenant's region, by its name.
    """

    policies: Mapping[str, Policy] = {}
    replicas: Mapping[str, str] = {}
    tenants: Mapping[str, str] = {}

    def of(self, ref: str) -> Policy:
        """The policy of an adapter's ref."""
        return self.policies.get(ref.partition("@")[0], _OPEN)

    def refuses(self, ref: str, tenants: Collection[str]) -> str:
        """Say which tenants an adapter can never answer, and why; nothing if none."""
        policy = self.of(ref)
        strangers = sorted(each for each in tenants if not policy.for_tenant(each))
        if strangers:
            return f"{ref} is not for {', '.join(strangers)}"
        abroad = sorted(
            each
            for each in tenants
            if (region := self.tenants.get(each, NOWHERE))
            and not policy.in_region(region)
        )
        if abroad:
            allowed = ", ".join(sorted(policy.regions))
            return f"{ref} stays in {allowed}, and {', '.join(abroad)} elsewhere"
        return ""


def serves(tenant_region: str, replica_region: str) -> bool:
    """Whether a tenant's request may go to a replica."""
    return tenant_region in (NOWHERE, replica_region)
