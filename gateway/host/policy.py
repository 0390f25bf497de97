"""When a child is started, restarted and given up: two tables, no clock.

A child that dies is started again after a pause that grows with each death in a
row, so that a broken engine does not burn the machine; a child that has lived for
a while has earned a short pause again.
"""

from enum import StrEnum
from typing import Final

import msgspec


class State(StrEnum):
    """What the supervisor knows of one child."""

    WAITING = "waiting"  # not running; will be started when its pause is over
    RUNNING = "running"
    STOPPING = "stopping"  # was asked to end
    STOPPED = "stopped"  # ended, and will not be started again


class Event(StrEnum):
    """What can happen to a child."""

    DUE = "due"  # its pause is over
    EXITED = "exited"  # its process has ended
    STOP = "stop"  # the stack goes down


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.WAITING, Event.DUE): State.RUNNING,
    (State.WAITING, Event.STOP): State.STOPPED,
    (State.RUNNING, Event.EXITED): State.WAITING,
    (State.RUNNING, Event.STOP): State.STOPPING,
    (State.STOPPING, Event.EXITED): State.STOPPED,
    (State.STOPPING, Event.STOP): State.STOPPING,
    (State.STOPPED, Event.STOP): State.STOPPED,
}
"""Every change of state; a pair that is not here cannot happen."""


class ImpossibleTransitionError(Exception):
    """The supervisor contradicts its table: a bug, not a condition."""


def step(state: State, event: Event) -> State:
    """Look up the next state.

    Raises:
        ImpossibleTransitionError: the table has no such row.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        message = f"a child that is {state} cannot get {event}"
        raise ImpossibleTransitionError(message) from None


class Backoff(msgspec.Struct, frozen=True):
    """The pauses before a restart.

    `pauses` are seconds, by the number of deaths in a row, the last one for all
    further ones. A life of at least `healthy_after` seconds ends the row.
    """

    pauses: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    healthy_after: float = 60.0

    def deaths(self, before: int, lived: float) -> int:
        """Count deaths in a row, this one included.

        Args:
            before: deaths in a row before this life.
            lived: how long this life was, in seconds.
        """
        return 1 if lived >= self.healthy_after else before + 1

    def pause(self, deaths: int) -> float:
        """Seconds to wait before the start that follows `deaths` deaths in a row."""
        if deaths == 0:
            return 0.0
        return self.pauses[min(deaths, len(self.pauses)) - 1]
