"""What routing can say no with.

    RoutingError
    ├── PartError           a name or unit that cannot be part of a bucketing key
    ├── FlagError           a flag document that cannot be true
    ├── RolloutError        a rollout that cannot be, or cannot go that way
    ├── ChainError          an audit log that was changed after the fact
    └── StoreError          a store that refuses, or a store URL that names none
        ├── Conflict        somebody else changed the document first
        ├── Unavailable     nothing wrong with the request: try again later
        └── Corrupt         the store answers, but its content is damaged

None of them is a `ValueError`: a decoder that turns `ValueError` into an error
of its own would lose the path and the advice that these carry.
"""


class RoutingError(Exception):
    """Every error that `routing` raises on purpose."""


class PartError(RoutingError):
    """A part of a bucketing key that is refused.

    `part` is "flag", "salt", "tenant" or "unit".
    """

    def __init__(self, part: str, message: str) -> None:
        super().__init__(f"{part} {message}")
        self.part = part
        self.message = message


class FlagError(RoutingError):
    """A flag document that is refused; `path` says where (`surfaces.email.lora`)."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class RolloutError(RoutingError):
    """A rollout that is refused; `path` says where (`plan.steps`, `phase`)."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class ChainError(RoutingError):
    """The audit entry `seq` does not follow from the one before it."""

    def __init__(self, seq: int, message: str) -> None:
        super().__init__(f"audit entry {seq}: {message}")
        self.seq = seq
        self.message = message


class StoreError(RoutingError):
    """A store that refused; the message says what would be right."""


class Conflict(StoreError):  # noqa: N818  # the word that HTTP has for it, 409
    """A compare-and-set that came second.

    `expected` and `found` are document versions, 0 where there is no document.
    """

    def __init__(self, expected: int, found: int, *, key: str = "") -> None:
        what = key or "the document"
        super().__init__(
            f"{what} is at version {found}, not {expected}:"
            " read it again and repeat the change on what you find"
        )
        self.expected = expected
        self.found = found
        self.key = key


class Unavailable(StoreError):  # noqa: N818  # the word that HTTP has for it, 503
    """The store cannot be reached or cannot write now.

    A write that ends so may or may not have happened (a time-out says nothing
    about the other side): read before you repeat it.
    """


class Corrupt(StoreError):  # noqa: N818  # reads as what it states: the store is corrupt
    """The store's content is damaged or belongs to another program."""
