"""Model refs: names that stand for one digest for ever.

A ref travels through URLs, header values, file names and vLLM's model names, so
its alphabet is the intersection of what all of them take literally: lower-case
ASCII (case-insensitive disks), no slash, nothing that a path could climb with.
"""

import re
from typing import Final, Self

from adapters.errors import RefError

_NAME: Final = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_ADAPTER: Final = re.compile(rf"({_NAME})@v([1-9][0-9]{{0,5}})", re.ASCII)
_BASE: Final = re.compile(
    rf"({_NAME})@(0|[1-9][0-9]{{0,3}})\.(0|[1-9][0-9]{{0,3}})", re.ASCII
)
_LONGEST: Final = 96
_RESERVED: Final = frozenset({"text", "image", "audio"})
"""vLLM attaches adapters of these names to chats by itself (by modality)."""


def _match(pattern: re.Pattern[str], text: str, expected: str) -> re.Match[str]:
    found = pattern.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise RefError(text, expected)
    if found[1] in _RESERVED:
        raise RefError(text, f"a name other than {', '.join(sorted(_RESERVED))}")
    return found


class AdapterRef(str):
    """`name@vN`, as in `acme-behav-lora@v1`: a checked string, and usable as one.

    Raises:
        RefError: the text is anything else, a path above all.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text; there is no AdapterRef that was not checked."""
        _match(_ADAPTER, text, "name@vN, such as acme-behav-lora@v1")
        return super().__new__(cls, text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a ref from outside. Raises RefError."""
        return cls(text)

    @property
    def name(self) -> str:
        """What stands before the @."""
        return self.partition("@")[0]

    @property
    def version(self) -> int:
        """N of `name@vN`."""
        return int(self.partition("@v")[2])


class BaseRef(str):
    """`name@X.Y`, as in `smollm2-135m-instruct@1.0`: a checked string.

    Raises:
        RefError: the text is anything else.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text; there is no BaseRef that was not checked."""
        _match(_BASE, text, "name@X.Y, such as smollm2-135m-instruct@1.0")
        return super().__new__(cls, text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a ref from outside. Raises RefError."""
        return cls(text)

    @property
    def name(self) -> str:
        """What stands before the @."""
        return self.partition("@")[0]

    @property
    def version(self) -> tuple[int, int]:
        """(X, Y) of `name@X.Y`."""
        major, _, minor = self.partition("@")[2].partition(".")
        return int(major), int(minor)
