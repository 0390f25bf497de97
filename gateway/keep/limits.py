"""How much is kept, where, and for how long."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class KeepLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `[keep]`. Nothing is kept of a tenant whose own `keep` is `none`."""

    directory: Annotated[str, msgspec.Meta(min_length=1)] = "var/kept"
    """Where the files are. It is made with mode 700, and they with 600."""
    record_bytes: Annotated[int, msgspec.Meta(ge=1024, le=262_144)] = 32_768
    """Longest request, its outputs included, that is kept; a longer one is counted as
    `too_large`. It bounds the memory of all that follows, and what scrubbing costs: the
    worst texts take some 3 ms of a thread for each KiB, and hold a lock that all need
    for a tenth of it at a time."""
    file_bytes: Count = 16_777_216
    """A file that would grow over this is closed. One a day at least, else."""
    total_bytes: Count = 268_435_456
    """Of all files together; before it would be passed, the oldest is deleted. Gateways
    that share the directory may pass it by `file_bytes` for each but the first."""
    days: Count = 30
    """Files of an earlier day (UTC) than so many days ago are deleted."""
    queue: Count = 256
    """Records that wait for the disk; while it is full, more are dropped. Times
    `record_bytes` it is the memory that a stalled disk costs: 8 MiB."""
    feedback_requests: Count = 1000
    """Of each tenant that keeps: the latest requests on which feedback is taken."""
    feedback_bytes: Count = 8_388_608
    """Of each such tenant: how much of their text is held in memory meanwhile."""
    feedback_seconds: Seconds = 3600.0
    """How long after an answer feedback on it is taken, and its text held."""

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other."""
        if not self.record_bytes <= self.file_bytes <= self.total_bytes:
            raise ValueError(
                "needs record_bytes <= file_bytes <= total_bytes, but they are"
                f" {self.record_bytes}, {self.file_bytes}, {self.total_bytes}"
            )
