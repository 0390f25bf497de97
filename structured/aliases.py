"""Short names for context ids while decoding is bound to a grammar.

A grammar that lists a request's own ids is as large as a client makes them. With `c1`
to `cN` there is one for each N. Only citations are mapped back: what an answer says in
words is the model's own.
"""

from typing import cast

import jiter
import msgspec

from structured.decode import alias
from structured.lexer import lex
from structured.prompt import AssistInput, ContextItem


class Aliases(msgspec.Struct, frozen=True):
    """The ids of a context, in their order."""

    ids: tuple[str, ...]

    @property
    def _names(self) -> dict[str, str]:
        return {alias(n): each for n, each in enumerate(self.ids, start=1)}

    def alias(self, given: AssistInput) -> AssistInput:
        """Return the input with each context item under its alias."""
        items = tuple(
            ContextItem(alias(number), item.text)
            for number, item in enumerate(given.context, start=1)
        )
        return msgspec.structs.replace(given, context=items)

    def restore(self, raw: bytes) -> bytes:
        """Return an output with the aliases in its root's `citations` mapped back.

        All at once, since an id may look like another's alias; every other byte stays.
        What is not such an output comes back as it is, for the check to judge.
        """
        span = lex(raw, len(raw) - len(raw.lstrip()))
        if not span.closed or raw[span.start : span.start + 1] != b"{":
            return raw
        out: list[bytes] = []
        at = depth = 0
        cited, listed = False, False
        tokens = span.tokens
        for number, token in enumerate(tokens):
            depth += (token.kind in "{[") - (token.kind in "}]")
            text = raw[token.start : token.end]
            following = tokens[number + 1].kind if number + 1 < len(tokens) else ""
            if depth == 1 and token.kind == "double" and following == ":":
                cited = _value(text) == "citations"
            elif depth == 2 and token.kind in "{[":  # noqa: PLR2004 -- what a root's member holds
                listed = cited and token.kind == "["
            elif listed and depth == 2 and token.kind == "double":  # noqa: PLR2004 -- as above
                # By its value: a spelling that slipped through would be read as the
                # id of another item, where an id looks like an alias.
                name = self._meant(_value(text))
                if name is not None:
                    out += (raw[at : token.start], msgspec.json.encode(name))
                    at = token.end
        return b"".join((*out, raw[at:]))

    def _meant(self, said: object) -> str | None:
        """The id that a citation stands for; None where its bytes may stay.

        What is no alias must not pass for the id that it happens to look like.
        """
        if not isinstance(said, str):
            return None
        name = self._names.get(said)
        if name is not None:
            return name
        if said not in self.ids:
            return None
        while said in self.ids:
            said = f"?{said}"
        return said


def _value(text: bytes) -> object:
    try:
        return cast("object", jiter.from_json(text))
    except ValueError:
        return None
