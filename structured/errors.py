"""What `structured` raises.

StructuredError
├── SchemaError      a schema that cannot be registered
├── ParseError       bytes that are not strict JSON
├── EnvelopeError    a text in which no single JSON text can be told apart
├── RepairError      a JSON text that no safe edit makes strict
└── ScrubError       a record that cannot be rid of personal data

`SchemaError` and `ScrubError` leave the package; the others become a `Rejected`.
"""


class StructuredError(Exception):
    """Anything this package raises on purpose."""


class SchemaError(StructuredError):
    """A schema was refused at registration.

    `path` is a JSON pointer into the schema; `message` says what is wrong there and
    what would be right.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path or '(root)'}: {message}")
        self.path = path
        self.message = message


class ParseError(StructuredError):
    """Bytes are not strict JSON; `code` is stable, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class EnvelopeError(StructuredError):
    """No single candidate; `code` is `no_json`, `ambiguous` or `not_repairable`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RepairError(StructuredError):
    """No safe edit is known; `position` is a byte offset into the raw text."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"at byte {position}: {message}")
        self.position = position


class ScrubError(StructuredError):
    """A record cannot be scrubbed without harm; it must not be kept."""
