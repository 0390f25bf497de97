"""Which of a gateway's worker processes this one is."""

import socket
from pathlib import Path

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A worker among the workers of one gateway."""

    index: int
    """From 0. The first has the control plane and tends the replicas."""
    count: int
    directory: Path
    """Where the workers meet: private to them, and gone when the gateway ends."""
    data: socket.socket
    """What all of them accept requests from."""
    control: socket.socket
    """What the first accepts operators from; the others only hold it."""

    @property
    def leads(self) -> bool:
        """Whether it is the one that decides and tells the others."""
        return self.index == 0
