"""From a key to who holds it. Keys exist here only as their SHA-256."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Generic, TypeVar

from gateway.api.asgi import Scope, header
from gateway.errors import InvalidKey

Holder = TypeVar("Holder")


class Keys(Generic[Holder]):
    """Who holds which key.

    The dictionary is looked up by the whole digest; the digest of a guess tells
    nothing about the digests near it, so timing reveals no key.
    """

    def __init__(self, holders: Mapping[str, Holder]) -> None:
        """Take hex SHA-256 digests of keys to their holders."""
        self._holders = {
            bytes.fromhex(key): (bytes.fromhex(key), who)
            for key, who in holders.items()
        }

    def holder(self, scope: Scope) -> Holder:
        """Who asks.

        Raises:
            InvalidKey: no key, another scheme than Bearer, or nobody's key.
        """
        given = header(scope, b"authorization")
        if given is None:
            raise InvalidKey("send `Authorization: Bearer KEY`")
        scheme, _, key = given.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidKey("send `Authorization: Bearer KEY`, not another scheme")
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        found = self._holders.get(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            raise InvalidKey("nobody holds this key")
        return found[1]
