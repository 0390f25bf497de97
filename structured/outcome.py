"""What a check can say: accepted, with what was repaired; or rejected, and where."""

import msgspec


class Repair(msgspec.Struct, frozen=True):
    """One thing that was changed; `position` is a byte offset into the raw output."""

    kind: str
    position: int


class Accepted(msgspec.Struct, frozen=True):
    """`raw` are the bytes that go out: the model's own unless something is repaired."""

    raw: bytes
    value: object
    repairs: tuple[Repair, ...] = ()


class Rejected(msgspec.Struct, frozen=True):
    """Why an output is refused.

    `stage` is `gate`, `strict`, `envelope`, `syntax` or `coerce`; `path` a JSON pointer into the
    output (`""` is the root); `repairs` what had been repaired before it failed;
    `value` the JSON that was recovered and did not fit, None where none was.
    """

    stage: str
    code: str
    path: str
    message: str
    repairs: tuple[Repair, ...] = ()
    value: object = None
