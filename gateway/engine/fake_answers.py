"""What the fake says: deterministic texts, tokens and log-probabilities.

The base writes prose and an adapter writes JSON, as the real ones do here; the
model's name is in every answer, so that a test sees who spoke.
"""

import re
import zlib
from collections.abc import Callable
from typing import Final

import msgspec

_TOKEN: Final = re.compile(r"\s*\S+|\s+$")
_PASSAGE: Final = re.compile(r"^\[([^\]\n]+)\] ", re.MULTILINE)
_LAST_REQUEST: Final = re.compile(r"^Request: (.*)\Z", re.MULTILINE | re.DOTALL)


class Asked(msgspec.Struct, frozen=True):
    """One question to the fake, as far as an answer may depend on it."""

    model: str
    adapter: str | None
    """The adapter in effect; None when the base answers, for whatever reason."""
    messages: tuple[tuple[str, str], ...]
    """(role, text)"""
    constrained: bool = False
    """Decoding is bound to JSON by a response format."""

    @property
    def user(self) -> str:
        """The last user message."""
        return next((text for role, text in self.messages[::-1] if role == "user"), "")

    @property
    def context_ids(self) -> tuple[str, ...]:
        """Ids of the passages in the last user message, in their order."""
        return tuple(_PASSAGE.findall(self.user.partition("Request: ")[0]))


Answer = Callable[[Asked], str]


def default_answer(asked: Asked) -> str:
    """Prose from the base; from an adapter, or when constrained, valid assist JSON."""
    request = _LAST_REQUEST.search(asked.user)
    topic = (request[1] if request else asked.user)[:80]
    speaker = asked.adapter or "base"
    if asked.adapter is None and not asked.constrained:
        return f"This is {speaker} → a few words on “{topic}”, written as prose."
    ids = asked.context_ids
    answer = {
        "status": "ok" if ids else "uncertain",
        "answer": f"{speaker} → {topic or 'nothing was asked'}",
        "citations": ids[:1],
    }
    return msgspec.json.encode(answer).decode()


def tokens(text: str) -> list[str]:
    """Cut a text into pieces that join to it again: words with the space before."""
    return _TOKEN.findall(text)


def logprob(adapter: str | None, token: str) -> float:
    """Log-probability of a token, in (-2, 0); another one for every adapter."""
    seed = zlib.crc32(f"{adapter or ''}\0{token}".encode())
    return -round(0.001 + seed % 1_999 / 1_000, 3)
