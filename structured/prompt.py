"""The prompt's rendering: one function that serving, evals and training share.

A tune learns the text that it saw in training. If the gateway rendered an input
differently by one blank line, every measurement of the tune would be of another
prompt, so there is exactly one rendering and it is here.
"""

from typing import Final

import msgspec

DEFAULT_SYSTEM: Final = (
    "You are ACME Assistant. Use only the context. Reply with one JSON object:"
    ' {"status":"ok|uncertain|refused","answer":"...","citations":["id"]}.'
    " Say uncertain when the context lacks the answer,"
    " refused when the request is not allowed."
)
"""Policy and schema brief for requests that bring no system text of their own."""


class ContextItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One retrieved passage; `id` is what a citation names."""

    id: str
    text: str


class AssistInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The input of one assist request, and of one training example."""

    user: str
    context: tuple[ContextItem, ...] = ()
    system: str | None = None

    @property
    def context_ids(self) -> frozenset[str]:
        """The ids that an answer to this input may cite."""
        return frozenset(item.id for item in self.context)


class Message(msgspec.Struct, frozen=True):
    """One chat message as the chat template takes it."""

    role: str
    content: str


def render(given: AssistInput) -> tuple[Message, Message]:
    """Render an input as the system and the user message of a chat."""
    passages = "\n".join(f"[{item.id}] {item.text}" for item in given.context)
    context = f"Context:\n{passages}\n\n" if passages else "Context: none\n\n"
    return (
        Message("system", given.system or DEFAULT_SYSTEM),
        Message("user", f"{context}Request: {given.user}"),
    )
