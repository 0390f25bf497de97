"""The way of the examples: valid, allowed, clean, scrubbed, distinct, split, balanced."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from training.curate import boilerplate, duplicates, records, splits
from training.curate.boilerplate import Frequent
from training.curate.duplicates import Shingles, Twin, shingles
from training.curate.funnel import Dropped, Funnel, Step
from training.curate.governance import Governance, Policy
from training.curate.pii import Scrubber
from training.curate.records import Record
from training.curate.splits import Cuts
from training.errors import ConfigError
from training.examples import Example, Intent, Split

CONFIG: Final = Path(__file__).with_name("curation.toml")


class Near(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which similarity on two examples are one."""

    within: float
    across: float
    """Between what is learnt and what is held out; lower, for a leak there is a lie."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `curation.toml`."""

    policy: Policy
    boilerplate: Frequent
    duplicates: Near
    splits: Cuts
    quota: dict[Intent, int]


class Curated(msgspec.Struct, frozen=True):
    """What may be trained on, and what became of the rest."""

    splits: dict[Split, tuple[Record, ...]]
    steps: tuple[Step, ...]
    dropped: tuple[Dropped, ...]
    scrubbed: dict[str, int]
    """Pieces of personal data that became pseudonyms, by kind."""


def load(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: naming file, key and what would be right.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Plan)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def curate(
    raw: Sequence[Record],
    plan: Plan,
    scrubber: Scrubber,
    held_out: Sequence[Record] = (),
) -> Curated:
    """Carry raw examples through all steps.

    Args:
        raw: with unique ids.
        plan: what is allowed, and how much of it.
        scrubber: takes personal data out.
        held_out: examples of tests elsewhere, which nothing here may resemble.

    Raises:
        DataError: two have one id, or a split is left that cannot be used.
    """
    funnel, scrubbed = Funnel(), _Scrubbed(scrubber)
    found = records.unique(raw)
    found = funnel.sift("valid", found, records.flaw)
    found = funnel.sift("allowed", found, Governance(plan.policy).objection)
    found = funnel.sift("dated", found, splits.undated)
    often = boilerplate.find(found, plan.boilerplate)
    found = funnel.change(
        "without boilerplate", found, lambda one: boilerplate.without(one, often)
    )
    found = funnel.change("scrubbed", found, scrubbed)
    # What is written twice counts once, where it was first.
    found = sorted(found, key=lambda one: (str(one.date), one.id))
    twins = duplicates.within(_shingled(found), plan.duplicates.within)
    found = funnel.drop("distinct", found, _said(twins))
    divided = splits.divided(found, plan.splits)
    away = {one.id: shingles(one) for one in held_out}
    for split in ("val", "train"):
        away |= dict(_shingled(divided["test" if split == "val" else "val"]))
        leaks = duplicates.across(
            _shingled(divided[split]), away, plan.duplicates.across
        )
        divided[split] = funnel.drop(f"{split}: held out", divided[split], _said(leaks))
    over = splits.over_quota(divided["train"], plan.quota)
    divided["train"] = funnel.drop("train: balanced", divided["train"], over)
    splits.check(divided)
    return Curated(divided, tuple(funnel.steps), tuple(funnel.dropped), scrubbed.counts)


def examples(curated: Curated, split: Split) -> tuple[Example, ...]:
    """A split in the form that runs read."""
    return tuple(
        Example(
            id=one.id,
            intent=one.intent,
            split=split,
            input=one.input,
            output=one.output,
            source=one.source,
            license=one.license,
            consent=one.consent,
            region=one.region,
            date=str(one.date),
        )
        for one in curated.splits[split]
    )


class _Scrubbed:
    """Scrubs whole records, and counts."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self.counts: dict[str, int] = {}

    def __call__(self, record: Record) -> Record:
        given, ids = record.input, record.input.context_ids

        def clean(text: str) -> str:
            done = self._scrubber.scrub(text, ids)
            for found in done.found:
                self.counts[found.kind] = self.counts.get(found.kind, 0) + 1
            return done.text

        context = tuple(
            msgspec.structs.replace(item, text=clean(item.text))
            for item in given.context
        )
        return msgspec.structs.replace(
            record,
            input=msgspec.structs.replace(
                given,
                user=clean(given.user),
                context=context,
                system=None if given.system is None else clean(given.system),
            ),
            output=msgspec.structs.replace(
                record.output, answer=clean(record.output.answer)
            ),
        )


def _shingled(found: Iterable[Record]) -> list[tuple[str, Shingles]]:
    return [(one.id, shingles(one)) for one in found]


def _said(twins: Iterable[Twin]) -> Mapping[str, str]:
    return {
        twin.id: f"near-duplicate: {twin.similarity:.2f} to {twin.of}" for twin in twins
    }
