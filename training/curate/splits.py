"""Splits by time: what is tested came about after everything that was learnt."""

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from training.curate.records import Record
from training.errors import ConfigError, DataError
from training.examples import INTENTS, Intent, Split


class Cuts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which days on examples are held out."""

    val_from: dt.date
    test_from: dt.date

    def __post_init__(self) -> None:
        """Refuse cuts that leave nothing to watch the training by."""
        if self.val_from >= self.test_from:
            raise ConfigError(
                f"[splits] val_from {self.val_from} has to be before test_from"
                f" {self.test_from}: validation is between training and test"
            )

    def split(self, day: dt.date) -> Split:
        """Where an example of that day belongs."""
        if day >= self.test_from:
            return "test"
        return "val" if day >= self.val_from else "train"


def undated(record: Record) -> str:
    """Say what keeps a record from being placed in time."""
    return "" if record.date else "no date"


def divided(records: Iterable[Record], cuts: Cuts) -> dict[Split, tuple[Record, ...]]:
    """Divide records, all of which have a date."""
    placed: dict[Split, list[Record]] = {"train": [], "val": [], "test": []}
    for record in records:
        if record.date:
            placed[cuts.split(record.date)].append(record)
    return {split: tuple(found) for split, found in placed.items()}


def over_quota(
    records: Iterable[Record], quota: Mapping[Intent, int]
) -> dict[str, str]:
    """Name those beyond their intent's quota: the oldest ones, for they teach least of now.

    Args:
        records: of one split, with dates.
        quota: at most so many, by intent; an intent without one has no bound.
    """
    said: dict[str, str] = {}
    newest_first = sorted(records, key=lambda r: (r.date or dt.date.min, r.id))[::-1]
    counts = dict.fromkeys(INTENTS, 0)
    for record in newest_first:
        counts[record.intent] += 1
        if record.intent in quota and counts[record.intent] > quota[record.intent]:
            said[record.id] = f"beyond the quota of {record.intent}"
    return said


def check(splits: Mapping[Split, tuple[Record, ...]]) -> None:
    """Refuse splits that cannot be trained or tested on.

    Raises:
        DataError: a split is empty, or training lacks an intent, and what would help.
    """
    for split, records in splits.items():
        if not records:
            raise DataError(
                f"the {split} split is empty: no dated example is left for it; move the"
                " dates under [splits], or see what was dropped and why"
            )
    there = {record.intent for record in splits["train"]}
    if missing := [intent for intent in INTENTS if intent not in there]:
        raise DataError(
            f"the train split has no example of {', '.join(missing)}: a tune that never"
            " sees them learns never to do them"
        )
