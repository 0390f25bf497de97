"""Curation: what comes in, what goes out, and what is said of the rest."""

import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest

from structured.prompt import AssistInput, ContextItem
from training import __main__, examples
from training.curate import boilerplate, command, duplicates, pipeline, records
from training.curate.boilerplate import Frequent
from training.curate.governance import Governance, Policy
from training.curate.pii import Scrubber
from training.curate.pipeline import Curated, Near, Plan
from training.curate.records import Record
from training.curate.splits import Cuts
from training.data.generate import generate
from training.errors import ConfigError, DataError
from training.examples import INTENTS, Intent, Output, Status

POLICY = Policy(("Apache-2.0", "CC0-1.0", "MIT"), ("given",), ("DE",))
CUTS = Cuts(dt.date(2026, 9, 1), dt.date(2026, 10, 1))
PLAN = Plan(POLICY, Frequent(0.5, 1000), Near(0.8, 0.6), CUTS, {})
DAYS = (dt.date(2026, 8, 1), dt.date(2026, 9, 15), dt.date(2026, 10, 20))


def record(
    id_: str = "r", *, user: str = "Well?", answer: str = "Yes.", **more: object
) -> Record:
    intent: Intent = "extract"
    status: Status = "ok"
    made = Record(
        intent,
        AssistInput(user, (ContextItem("S1", "The kettle holds 1.7 litres."),)),
        Output(status, answer, ("S1",)),
        source="unit test",
        license="MIT",
        consent="given",
        region="DE",
        date=dt.date(2026, 8, 1),
        id=id_,
    )
    return msgspec.structs.replace(made, **more)


def many(count: int = 60) -> list[Record]:
    """Generated examples, a third in each split."""
    return [
        record(
            f"g{number}",
            intent=made.intent,
            input=made.input,
            output=made.output,
            date=DAYS[number // len(INTENTS) % 3],
        )
        for number, made in enumerate(generate("train", count=count))
    ]


def curated(
    raw: list[Record], plan: Plan = PLAN, held: tuple[Record, ...] = ()
) -> Curated:
    return pipeline.curate(raw, plan, Scrubber(b"key"), held)


def went(found: Curated, id_: str) -> str:
    """Where an example went: a split, or the step and the reason."""
    for split, there in found.splits.items():
        if any(one.id == id_ for one in there):
            return split
    [dropped] = [one for one in found.dropped if one.id == id_]
    return f"{dropped.step}: {dropped.reason}"


def test_every_example_is_in_a_split_or_among_the_dropped_with_a_reason() -> None:
    raw = [*many(), record("bad", answer=" "), record("odd", license="")]
    found = curated(raw)
    placed = [one.id for there in found.splits.values() for one in there]
    assert sorted([*placed, *(one.id for one in found.dropped)]) == sorted(
        one.id for one in raw
    )
    assert went(found, "bad") == "valid: output.answer is empty"
    assert went(found, "odd") == "allowed: no licence"


def test_what_is_tested_came_after_what_is_learnt() -> None:
    found = curated(many())
    newest = max(one.date for one in found.splits["train"] if one.date)
    oldest = min(one.date for one in found.splits["test"] if one.date)
    assert newest < CUTS.val_from <= CUTS.test_from <= oldest


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"license": "GPL-3.0-only"}, "licence 'GPL-3.0-only' is not allowed: Apache-2.0, CC0-1.0, MIT are"),
        ({"license": "MIT AND GPL-2.0-only"}, "licence 'MIT AND GPL-2.0-only' is not allowed"),
        ({"license": "MIT OR GPL-2.0-only"}, ""),
        ({"license": "Apache-2.0 WITH LLVM-exception"}, "licence 'Apache-2.0 WITH LLVM-exception' is not allowed"),
        ({"license": "free for all"}, "licence 'free for all' is no SPDX expression"),
        ({"license": ""}, "no licence"),
        ({"consent": ""}, "no consent"),
        ({"consent": "none"}, "consent 'none' is not allowed: given are"),
        ({"region": "US"}, "region 'US' is not allowed: DE are"),
        ({"source": ""}, "no source"),
        ({}, ""),
    ],
)  # fmt: skip
def test_without_licence_consent_region_and_source_nothing_is_learnt(
    changed: dict[str, object], why: str
) -> None:
    said = Governance(POLICY).objection(msgspec.structs.replace(record(), **changed))
    assert said.startswith(why)
    assert bool(said) == bool(why)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (Output("ok", "Yes.", ("S9",)), "output.citations names S9, which is no id"),
        (Output("ok", "Yes.", ("S1", "S1")), "output.citations names an id twice"),
        (Output("refused", "No.", ()), "output.status is refused and intent extract"),
        (Output("ok", "", ()), "output.answer is empty"),
    ],
)
def test_what_would_teach_something_wrong_is_named(output: Output, why: str) -> None:
    assert records.flaw(record(output=output)).startswith(why)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"intent": "extract"', "raw.jsonl:2: Input data was truncated"),
        ('{"intent": "dream"}', "raw.jsonl:2: Invalid enum value 'dream' - at `$.intent`"),
        ('{"intent": "extract", "input": {"user": 7}}', "raw.jsonl:2: Expected `str`, got `int` - at `$.input.user`"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named_with_its_field(
    line: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_bytes(msgspec.json.encode(record()) + b"\n" + line.encode())
    with pytest.raises(DataError) as caught:
        records.load(path)
    assert str(caught.value).startswith(why)


def test_an_empty_file_and_two_of_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no example in it"):
        records.load(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="two examples have the id 'r'"):
        records.unique([record(), record()])


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ("Hello.", "distinct"),
        ("I have looked in the manual and on the page but did not find it.", "train: held out"),
    ],
)  # fmt: skip
def test_near_duplicates_planted_across_splits_are_all_found(
    before: str, step: str
) -> None:
    raw = [one for one in many(90) if len(one.input.context) > 1]
    # Some of the held-out ones again, said a little otherwise: older, or as old.
    planted = [
        msgspec.structs.replace(
            one,
            id=f"copy-{one.id}",
            date=DAYS[0],
            input=msgspec.structs.replace(one.input, user=f"{before} {one.input.user}"),
        )
        for one in raw[::2]
        if one.date != DAYS[0]
    ]
    found = curated([*raw, *planted])
    assert step in {one.step for one in found.dropped if "duplicate" in one.reason}
    held = [*found.splits["val"], *found.splits["test"]]
    assert planted
    for one in found.splits["train"]:
        for other in held:
            near = duplicates.jaccard(
                duplicates.shingles(one), duplicates.shingles(other)
            )
            assert near < PLAN.duplicates.across, (one.id, other.id)


def test_the_proposals_miss_no_pair_that_is_near_enough() -> None:
    found = [(one.id, duplicates.shingles(one)) for one in many(300)]
    by_hand: list[str] = []
    stay: list[frozenset[str]] = []
    for id_, one in found:
        if any(duplicates.jaccard(one, other) >= 0.5 for other in stay):
            by_hand.append(id_)
        else:
            stay.append(one)
    assert [twin.id for twin in duplicates.within(found, 0.5)] == by_hand


def test_tests_elsewhere_are_kept_out_of_training() -> None:
    raw = many()
    [away, *_] = [one for one in raw if one.date == DAYS[0]]
    found = curated(raw, held=(msgspec.structs.replace(away, id="elsewhere"),))
    assert went(found, away.id) == "train: held out: near-duplicate: 1.00 to elsewhere"


def test_a_quota_keeps_the_newest_of_an_intent() -> None:
    plan = msgspec.structs.replace(PLAN, quota={"extract": 1})
    found = curated(many(), plan)
    left = [one for one in found.splits["train"] if one.intent == "extract"]
    assert len(left) == 1
    over = [one for one in found.dropped if one.reason == "beyond the quota of extract"]
    assert over


def test_a_split_that_cannot_be_used_is_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"the val split is empty.*\[splits\]"):
        curated([one for one in many() if one.date != DAYS[1]])
    with pytest.raises(DataError, match="has no example of refuse: a tune that never"):
        curated([one for one in many() if one.intent != "refuse"])
    with pytest.raises(ConfigError, match="has to be before test_from"):
        Cuts(dt.date(2026, 10, 1), dt.date(2026, 9, 1))


def test_boilerplate_goes_and_what_an_answer_rests_on_stays() -> None:
    def passage(number: int, text: str, answer: str = "Yes.") -> Record:
        context = (ContextItem("S1", text),)
        return record(
            f"b{number}",
            answer=answer,
            input=AssistInput(f"Question {number}?", context),
        )

    raw = [
        passage(n, f"The kettle number {n} is red. All rights reserved.")
        for n in range(9)
    ]
    raw += [passage(9, "All rights reserved."), passage(10, "It is blue. All rights reserved.", "All rights reserved.")]  # fmt: skip
    often = boilerplate.find(raw, Frequent(0.5, 5))
    left = [boilerplate.without(one, often).input.context[0].text for one in raw]
    assert left[:9] == [f"The kettle number {n} is red." for n in range(9)]
    assert left[9:] == ["All rights reserved.", "It is blue. All rights reserved."]


def test_a_person_is_the_same_one_in_passage_request_and_answer() -> None:
    context = (ContextItem("219-09-9999", "Mr Jo Field has j.field@acme.com."),)
    one = record(
        "p",
        input=AssistInput("What is the mail of Mr Jo Field?", context),
        output=Output("ok", "It is j.field@acme.com.", ("219-09-9999",)),
    )
    found = curated([*many(), one])
    [left] = [r for r in found.splits["train"] if r.id == "p"]
    mail = left.output.answer.removeprefix("It is ").rstrip(".")
    assert "field" not in str(left).lower()
    assert mail in left.input.context[0].text
    assert left.input.context[0].id == left.output.citations[0] == "219-09-9999"
    assert (found.scrubbed["NAME"], found.scrubbed["EMAIL"]) == (2, 2)


def test_the_command_writes_all_or_nothing_and_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw.jsonl"
    raw.write_bytes(b"\n".join(msgspec.json.encode(one) for one in many()))
    shipped = pipeline.CONFIG.read_text().replace('"synthetic"', '"given"')
    (tmp_path / "plan.toml").write_text(shipped)
    words = ["curate", str(raw), "--config", str(tmp_path / "plan.toml"), "--out"]
    monkeypatch.delenv(command.KEY, raising=False)
    assert __main__.main([*words, str(tmp_path / "none")]) == 1
    assert f"{command.KEY} has to be set" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    monkeypatch.setenv(command.KEY, "0123456789abcdef")
    for name in ("one", "two"):
        assert __main__.main([*words, str(tmp_path / name)]) == 0
    assert "train 20, val 20, test 20" in capsys.readouterr().out
    for file in ("train.jsonl", "dropped.jsonl"):
        one, two = (tmp_path / name / file for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    learnt = examples.load(tmp_path / "one" / "train.jsonl")
    assert {one.split for one in learnt} == {"train"}
    assert learnt[0].license == "MIT"
    card = json.loads((tmp_path / "one" / "card.json").read_bytes())
    sizes = [int(file["contentSize"].split()[0]) for file in card["distribution"]]
    assert sizes[0] == (tmp_path / "one" / "train.jsonl").stat().st_size
    assert "<svg" in (tmp_path / "one" / "funnel.svg").read_text()


def test_the_plan_that_is_shipped_can_be_read() -> None:
    assert set(pipeline.load(pipeline.CONFIG).quota) == set(INTENTS)
