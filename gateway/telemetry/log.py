"""Records as JSON lines.

The standard library's logging costs more than all of the metrics together, and a line
here is one write of one record, so it is left out. Whatever stands in a field, a line
is one line of printable ASCII: nothing in it can end the line or drive a terminal.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from gateway.telemetry.record import RequestFinished

_DEL = b"\x7f"


class Writer(Protocol):
    """An unbuffered binary stream, such as `open(path, "ab", buffering=0)`."""

    def write(self, data: bytes, /) -> int | None: ...


class JsonLinesSink:
    """Writes each record as one line; loses lines rather than requests.

    When the stream cannot take a line (disk full, reader gone) the line is dropped,
    and the next one that gets through says how many were lost before it.
    """

    def __init__(self, stream: Writer, *, clock: Callable[[], float]) -> None:
        """Write to `stream`.

        Args:
            stream: unbuffered, so that a line that failed is not sent again later.
            clock: the wall clock, in seconds since the epoch.
        """
        self._stream = stream
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode
        self._lost = 0
        self._torn = False

    @property
    def lost(self) -> int:
        """Lines dropped since the last one that was written."""
        return self._lost

    def __call__(self, record: RequestFinished, /) -> None:
        """Write `record`, with the time of now."""
        self._write(self._head("request") + self._body(record)[1:] + b"\n")

    def flag(self, version: int, worker: str) -> None:
        """Write that a flag document is in force in a process from now on."""
        self.event("flag", version=version, worker=worker)

    def event(self, name: str, **fields: object) -> None:
        """Write something else that happened; the fields are JSON values."""
        self._write(self._head(name) + _escaped(fields)[1:] + b"\n")

    def _head(self, event: str) -> bytes:
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(
            timespec="milliseconds"
        )
        lost = f',"lines_lost":{self._lost}' if self._lost else ""
        return f'{{"at":"{at}","event":"{event}"{lost},'.encode()

    def _body(self, record: RequestFinished) -> bytes:
        try:
            body = self._encode(record)
        except UnicodeEncodeError:  # half of a surrogate pair
            return _escaped(record)
        if not body.isascii() or _DEL in body:
            return _escaped(record)
        return body

    def _write(self, line: bytes) -> None:
        if self._torn:
            line = b"\n" + line
        try:
            written = self._stream.write(line) or 0  # None: it would have blocked
        except OSError:
            written = 0
        if written == len(line):
            self._lost, self._torn = 0, False
            return
        self._lost += 1
        self._torn = self._torn or written > 0


def _escaped(record: RequestFinished | Mapping[str, object]) -> bytes:
    text = json.dumps(msgspec.to_builtins(record), separators=(",", ":"))
    return text.replace("\x7f", "\\u007f").encode()
