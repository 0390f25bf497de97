"""Personal data out of a record, so that what is kept of it stays of use.

Each value that `structured.personal` finds becomes a placeholder such as `<EMAIL_1>`.
Within one record equal values get equal placeholders and different ones do not, so
that an answer still says what its prompt says. It lowers a risk; it makes nothing
anonymous: names, for one, stay.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, cast

import msgspec

from structured.errors import ParseError, ScrubError
from structured.parse import parse
from structured.personal import KINDS, Kind, Name

PASSES: Final = 3
"""Most passes over one text. The second finds nothing, unless a placeholder of the
first has freed what stood against it; a text in which that goes on is no ordinary one,
and each pass costs as much as the first."""

SHORTEST: Final = 6
"""Characters of the shortest text in which anything is looked for: `a@b.co`."""

_LARGEST: Final = 10**19
"""Above any whole number that identifies anything; a card has 19 digits."""

_PLACEHOLDER: Final = re.compile(r"<(?:KEY|EMAIL|IBAN|CARD|IP|PHONE)_\d{1,9}>")
_PIECES: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|(?:[^"\\]|\\.)++|["\\]', re.DOTALL)
"""A string literal, or what stands between two of them."""
_ESCAPE: Final = re.compile(r"(\\(?:u[0-9a-fA-F]{4}|.))", re.DOTALL)
_NUMBER: Final = re.compile(r"-?\d[\d.eE+-]*+")


class Scrubber:
    """Scrubs the texts of one record, in any order, with one set of placeholders."""

    def __init__(self, protected: Iterable[str] = ()) -> None:
        """Begin a record.

        Args:
            protected: texts that stay as they are wherever they stand, such as the
                ids of a context, which citations name.
        """
        self._names: dict[tuple[Name, str], str] = {}
        self._taken: set[str] = set()
        self._numbers: Counter[Name] = Counter()
        self._protected: dict[str, list[tuple[str, int]]] = {}
        for text in protected:
            for kind in KINDS:
                for start, end in kind.spans(text):
                    places = self._protected.setdefault(text[start:end], [])
                    places.append((text, start))

    @property
    def found(self) -> Mapping[str, int]:
        """How many different values of each kind were replaced."""
        return dict(Counter(kind for kind, _ in self._names))

    def text(self, text: str) -> str:
        """Return a text without personal data; scrubbing it again changes nothing.

        Raises:
            ScrubError: it does not settle; made on purpose, most likely.
        """
        if len(text) < SHORTEST:
            return text
        self._taken.update(_PLACEHOLDER.findall(text))
        for _ in range(PASSES):
            before = text
            for kind in KINDS:
                text = self._replaced(text, kind)
            if text == before:
                return text
        raise ScrubError(f"a text does not settle in {PASSES} passes")

    def value(self, value: object) -> object:
        """Return a JSON value with its strings, keys and whole numbers scrubbed.

        Raises:
            ScrubError: as `text`, or two keys of an object would become one.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            members = cast("dict[str, object]", value)
            made = {self.text(key): self.value(each) for key, each in members.items()}
            if len(made) != len(members):
                raise ScrubError("two keys of an object would become one")
            return made
        if isinstance(value, list | tuple):
            return [self.value(each) for each in cast("Iterable[object]", value)]
        if isinstance(value, int) and 0 <= value < _LARGEST:
            after = self.text(str(value))
            return value if after == str(value) else after
        return value

    def json_text(self, raw: str) -> str:
        r"""Return what a model said, scrubbed inside its strings.

        JSON stays JSON, broken JSON stays broken in the same place, and an escape
        such as `\n` is no letter of the address behind it. A literal in which nothing
        is found keeps its bytes.

        Raises:
            ScrubError: as `text`.
        """
        try:
            parse(raw.encode())
        except ParseError:
            strict = False
        else:
            strict = True
        return "".join(
            self._piece(match[0], strict=strict) for match in _PIECES.finditer(raw)
        )

    def _piece(self, piece: str, *, strict: bool) -> str:
        if len(piece) < SHORTEST:
            return piece
        if piece[0] == '"':
            try:
                text = msgspec.json.decode(piece, type=str)
            except msgspec.DecodeError:
                return self._escaped(piece)
            after = self.text(text)
            return piece if after == text else msgspec.json.encode(after).decode()
        if strict:
            # A number becomes a string here, as it does in `value`.
            return _NUMBER.sub(self._number, piece)
        return self._escaped(piece)

    def _number(self, match: re.Match[str]) -> str:
        number = match[0]
        if not number.isdecimal():
            return number
        after = self.text(number)
        return number if after == number else f'"{after}"'

    def _escaped(self, piece: str) -> str:
        parts = _ESCAPE.split(piece)
        parts[::2] = [self.text(part) for part in parts[::2]]
        return "".join(parts)

    def _replaced(self, text: str, kind: Kind) -> str:
        parts: list[str] = []
        done = 0
        for start, end in kind.spans(text):
            if self._is_protected(text, start, end):
                continue
            parts += (text[done:start], self._placeholder(kind, text[start:end]))
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def _is_protected(self, text: str, start: int, end: int) -> bool:
        places = self._protected.get(text[start:end], ())
        return any(
            start >= at and text.startswith(whole, start - at) for whole, at in places
        )

    def _placeholder(self, kind: Kind, found: str) -> str:
        key = (kind.name, kind.canonical(found))
        while key not in self._names:
            self._numbers[kind.name] += 1
            name = f"<{kind.name}_{self._numbers[kind.name]}>"
            if name not in self._taken:
                self._names[key] = name
        return self._names[key]
