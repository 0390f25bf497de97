"""What became of every example on its way through curation."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from training.curate.records import Record


class Dropped(msgspec.Struct, frozen=True):
    """An example that is not trained on, and why."""

    id: str
    step: str
    reason: str


class Step(msgspec.Struct, frozen=True):
    """One step of the way."""

    name: str
    came: int
    left: int
    """How many went on."""
    changed: int
    """How many of them went on otherwise than they came."""
    reasons: dict[str, int]
    """Why the others did not, the frequent ones first; what is told apart by a colon
    is counted together."""


class Funnel:
    """Keeps count while records go through steps."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.dropped: list[Dropped] = []

    def sift(
        self,
        name: str,
        records: Iterable[Record],
        objection: Callable[[Record], str],
    ) -> tuple[Record, ...]:
        """Let those go on that nothing is said against."""
        came = tuple(records)
        said = {record.id: why for record in came if (why := objection(record))}
        return self.drop(name, came, said)

    def drop(
        self, name: str, records: Iterable[Record], said: Mapping[str, str]
    ) -> tuple[Record, ...]:
        """Let those go on whose id nothing is said of."""
        came = tuple(records)
        left = tuple(record for record in came if record.id not in said)
        self.dropped += [Dropped(id_, name, why) for id_, why in said.items()]
        self._note(name, len(came), len(left), 0, said.values())
        return left

    def change(
        self,
        name: str,
        records: Iterable[Record],
        change: Callable[[Record], Record],
    ) -> tuple[Record, ...]:
        """Let all go on, some of them changed."""
        came = tuple(records)
        left = tuple(map(change, came))
        changed = sum(one != other for one, other in zip(came, left, strict=True))
        self._note(name, len(came), len(left), changed, ())
        return left

    def _note(
        self, name: str, came: int, left: int, changed: int, said: Iterable[str]
    ) -> None:
        reasons = Counter(why.partition(":")[0] for why in said)
        self.steps.append(Step(name, came, left, changed, dict(reasons.most_common())))
