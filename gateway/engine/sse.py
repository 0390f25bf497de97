"""Server-sent events, from bytes to the data of each event.

Works on bytes throughout: a chunk of TCP may end anywhere, also between the two
bytes of an umlaut, and text is decoded by whoever needs text.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, without lone
carriage returns as line ends (no engine sends them; such a stream has no `[DONE]`
here, which its reader takes as cut).
"""

from typing import Final

MAX_EVENT: Final = 1 << 20
"""Bytes of one event. A token's chunk has some hundreds; with top log-probabilities
of a long chunk some thousands. A megabyte without an end is no event stream."""


class EventSizeError(ValueError):
    """An event that does not end within its limit."""


class EventParser:
    """Cuts a byte stream into events; holds at most one unfinished event."""

    __slots__ = ("_data", "_held", "_limit", "_tail")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._tail: list[bytes] = []
        self._data: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes in; the data of the events that they complete.

        Comments, empty events and fields other than `data` are dropped. Several
        `data` lines of one event are joined by a line feed.

        Raises:
            EventSizeError: the unfinished event has grown over the limit.
        """
        events: list[bytes] = []
        lines = chunk.split(b"\n")
        if len(lines) > 1:
            self._tail.append(lines[0])
            lines[0] = b"".join(self._tail)
            self._tail = []
            self._held = sum(map(len, self._data))
            for line in lines[:-1]:
                self._line(line.removesuffix(b"\r"), events)
        rest = lines[-1]
        if rest:
            self._tail.append(rest)
            self._hold(len(rest))
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line.startswith(b"data: ") else line[5:]
            self._hold(len(value))
            self._data.append(value)
        elif not line and self._data:
            event = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(event)
            self._data = []
            self._held = 0

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._limit:
            raise EventSizeError(
                f"an event is over {self._limit} bytes and has not ended;"
                " an empty line ends an event"
            )
