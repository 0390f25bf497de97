"""The watch over kept outputs: what it scores, what it leaves out, what it raises."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from evals import exposition, recorded, watch_command
from evals.recorded import Group
from evals.watch import LEAST, Kept, Look, Plan, Watch
from structured import kept
from structured.kept import Feedback
from tests.unit.evals.kept_lines import drawn, line, wrote

LORA = Group("assist", "lora", "behav@v1", "free")
NOW = 1_800_000_000.0


def look(
    where: Path, kept_: Kept = "all", tenants: Iterable[str] = (), window: int = 500
) -> Look:
    plan = Plan(
        where=(where,),
        kept=kept_,
        tenants=frozenset(tenants),
        window=window,
        permutations=199,
    )
    return Watch(plan).look(NOW)


def test_what_needs_no_right_answer_is_scored(tmp_path: Path) -> None:
    invented: dict[str, object] = {
        "status": "ok",
        "answer": "It holds 7 litres.",
        "citations": [],
    }
    refusal: dict[str, object] = {
        "status": "refused",
        "answer": "Not that.",
        "citations": [],
    }
    outside = '{"status": "ok", "answer": "1", "citations": ["kb-9"]}'
    wrote(
        tmp_path / "kept-1.jsonl",
        [
            line(1),
            line(2, verdict="repaired", repairs=("fence",), raw="```{"),
            line(3, verdict="invalid", repaired=None, refused=True, raw=outside),
            line(4, verdict="truncated", repaired=None, refused=True, raw="{"),
            line(5, repaired=invented, raw=msgspec.json.encode(invented).decode()),
            line(6, repaired=refusal, raw=msgspec.json.encode(refusal).decode()),
        ],
    )
    (seen,) = look(tmp_path).groups
    assert seen.group == LORA
    counted = {name: (round(s.share * s.n), s.n) for name, s in seen.shares.items()}
    assert counted == {
        "adherence": (3, 6),
        "repaired": (1, 6),
        "reasked": (0, 6),
        "invalid": (1, 6),
        "truncated": (1, 6),
        "refused": (1, 4),
        "cited_within": (1, 2),
        "supported": (3, 4),
        "style": (4, 4),
    }
    assert seen.shares["adherence"].low < 0.5 < seen.shares["adherence"].high
    assert seen.drifts is None


def test_shares_of_the_flawed_are_no_shares_of_the_traffic(tmp_path: Path) -> None:
    half = drawn(LEAST) + drawn(LEAST, LEAST, longer=9)
    wrote(tmp_path / "kept-1.jsonl", half)
    found = look(tmp_path, "flawed")
    (seen,) = found.groups
    assert seen.shares == {}
    assert seen.drifts
    text = exposition.text(found)
    assert "wastegate_eval_share" not in text
    assert "wastegate_eval_drift_p_value{" in text
    assert "no share of them is one of the traffic" in watch_command.said(found)


def test_ways_of_decoding_models_and_tenants_are_kept_apart(tmp_path: Path) -> None:
    lines = [
        line(1),
        line(2, mode="constrained"),
        line(3, model="behav@v2"),
        line(4, tenant="other"),
    ]
    wrote(tmp_path / "kept-1.jsonl", lines)
    groups = {seen.group: seen.total for seen in look(tmp_path).groups}
    assert len(groups) == 3
    assert groups[LORA] == 2
    only = {seen.group: seen.total for seen in look(tmp_path, tenants=["acme"]).groups}
    assert only[LORA] == 1


def test_the_newest_are_compared_with_the_first(tmp_path: Path) -> None:
    """Whatever file they are in, and whatever lies between them."""
    later = drawn(2 * LEAST, 1000, longer=9)
    wrote(tmp_path / "kept-1.jsonl", [*later[LEAST:], *drawn(LEAST)])
    wrote(tmp_path / "kept-2.jsonl", [*drawn(300, 300), *later[:LEAST]])
    (seen,) = look(tmp_path, window=LEAST).groups
    assert (seen.total, seen.newest) == (3 * LEAST + 300, LEAST)
    assert seen.drifts
    found = {each.feature for each in seen.drifts.found()}
    assert {"words", "overall"} <= found


def test_windows_of_the_same_kind_show_no_drift(tmp_path: Path) -> None:
    wrote(tmp_path / "kept-1.jsonl", drawn(4 * LEAST))
    (seen,) = look(tmp_path).groups
    assert seen.drifts
    assert (seen.drifts.reference, seen.drifts.newest) == (2 * LEAST, 2 * LEAST)
    assert seen.drifts.found(0.01) == ()


def test_a_torn_line_is_counted_and_costs_nothing_else(tmp_path: Path) -> None:
    path = wrote(tmp_path / "kept-1.jsonl", [line(1), line(2, verdict="new_word")])
    with path.open("ab") as file:
        file.write(kept.encode(line(3))[:40])
    found = look(tmp_path)
    assert found.torn == 2
    assert found.groups[0].total == 1
    assert "2 lines cannot be read" in watch_command.said(found)
    assert "wastegate_eval_torn_lines 2.0\n" in exposition.text(found)


def test_feedback_is_no_output(tmp_path: Path) -> None:
    said = Feedback("fb", "t", "r", "out_1", "acme", "assist", "lora", "m", "up")
    wrote(tmp_path / "kept-1.jsonl", [line(1), said])
    assert look(tmp_path).groups[0].total == 1


def test_an_output_of_another_shape_counts_for_what_it_can(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Hello"}]
    other = line(1, input=None, messages=chat, repaired={"x": 1}, raw='{"x": 1}')
    wrote(tmp_path / "kept-1.jsonl", [other])
    (seen,) = look(tmp_path).groups
    assert seen.shares["adherence"].n == 1
    assert not {"refused", "cited_within", "supported", "style"} & seen.shares.keys()


def test_a_chat_is_supported_by_what_its_messages_say(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "It holds 1 litre. How much?"}]
    wrote(
        tmp_path / "kept-1.jsonl",
        [line(1, input=None, messages=chat), line(2, input=None, messages=[])],
    )
    (seen,) = look(tmp_path).groups
    assert seen.shares["supported"].share == 0.5
    assert "cited_within" not in seen.shares


def test_nothing_kept_is_said(tmp_path: Path) -> None:
    found = look(tmp_path / "none")
    assert found.groups == ()
    assert "nothing is kept yet" in watch_command.said(found)
    assert "wastegate_eval_last_run_timestamp_seconds" in exposition.text(found)


def test_what_has_not_changed_is_not_tested_again(tmp_path: Path) -> None:
    path = wrote(tmp_path / "kept-1.jsonl", drawn(2 * LEAST))
    watch = Watch(Plan(where=(tmp_path,), kept="all", permutations=19))
    (first,) = watch.look(NOW).groups
    (again,) = watch.look(NOW + 1).groups
    assert again is first
    wrote(path, drawn(2 * LEAST + 1))
    (other,) = watch.look(NOW + 2).groups
    assert other is not first
    assert other.total == 2 * LEAST + 1


def test_a_file_that_is_deleted_meanwhile_is_none(tmp_path: Path) -> None:
    assert recorded.read(tmp_path / "kept-1.jsonl", "en") == recorded.Found((), 0)


def test_the_metrics_are_what_prometheus_reads(tmp_path: Path) -> None:
    strange = 'a"b\\c\nd'
    lines = [line(number, surface=strange) for number in range(2 * LEAST)]
    wrote(tmp_path / "kept-1.jsonl", lines)
    text = exposition.text(look(tmp_path))
    families = {each.name: each for each in text_string_to_metric_families(text)}
    assert set(families) == {
        "wastegate_eval_share",
        "wastegate_eval_share_low",
        "wastegate_eval_share_high",
        "wastegate_eval_samples",
        "wastegate_eval_outputs",
        "wastegate_eval_drift_p_value",
        "wastegate_eval_last_run_timestamp_seconds",
        "wastegate_eval_torn_lines",
    }
    (low,) = [
        sample
        for sample in families["wastegate_eval_share_low"].samples
        if sample.labels["measure"] == "adherence"
    ]
    assert low.labels["surface"] == strange
    assert low.value == pytest.approx(0.05 ** (1 / LEAST))
    (at,) = families["wastegate_eval_last_run_timestamp_seconds"].samples
    assert at.value == NOW
