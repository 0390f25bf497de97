import msgspec

from evals.reports.evidence import ENTRIES, LIST, PAIR, gather, groups
from tests.unit.evals.suite_results import example, without_verdicts

RESULT = example()
LARGE = example(2000, easy=False)


def test_every_id_of_a_list_has_an_entry_and_the_rest_is_counted() -> None:
    evidence = gather(LARGE)
    for (generator, gate), listing in evidence.gates.items():
        assert set(listing.ids) <= set(evidence.entries)
        judged = next(j for j in LARGE.judged if j.generator == generator)
        finding = next(f for f in judged.findings if f.name == gate)
        assert len(listing.ids) + listing.more == len(finding.failed)
        assert set(listing.ids) <= set(finding.failed)


def test_lists_pairs_and_entries_are_capped() -> None:
    evidence = gather(LARGE)
    assert len(evidence.entries) == ENTRIES
    assert max(len(listing.ids) for listing in evidence.listings) == LIST
    assert max(len(pair.ids) for pair in evidence.pairs) == PAIR


def test_anchors_are_unique() -> None:
    evidence = gather(LARGE)
    anchors = [each.anchor for each in evidence.listings]
    anchors += evidence.entries.values()
    assert len(anchors) == len(set(anchors))


def test_a_sample_with_a_nought_speaks_against_a_share_that_should_be_large() -> None:
    listing = gather(RESULT).measures["lora", "citations"]
    scores = RESULT.arms[1].scores["citations"]
    assert {scores[name] for name in listing.ids} == {0.0}
    assert len(listing.ids) + listing.more == list(scores.values()).count(0.0)


def test_a_sample_with_a_one_speaks_against_a_share_that_should_be_small() -> None:
    listing = gather(RESULT).measures["lora", "repaired"]
    scores = RESULT.arms[1].scores["repaired"]
    assert [scores[name] for name in listing.ids] == [1.0, 1.0]


def test_of_times_the_largest_are_named_in_order() -> None:
    for result in (RESULT, LARGE):
        listing = gather(result).measures["lora", "ttft_p50"]
        scores = result.arms[1].scores["ttft_p50"]
        times = [scores[name] for name in listing.ids]
        assert times == sorted(scores.values(), reverse=True)[:LIST]


def test_a_pair_shows_the_lost_ones_first() -> None:
    pair = gather(RESULT).pairs[0]
    assert (pair.left.label, pair.right.label) == ("lora", "lora_pref")
    left, right = (each.arm.scores["success"] for each in (pair.left, pair.right))
    lost = [left[name] > right[name] for name in pair.ids]
    assert lost == sorted(lost, reverse=True)
    assert lost.count(True) == pair.lost
    assert all(left[name] != right[name] for name in pair.ids)


def test_a_cell_lists_the_failing_samples_of_its_value_alone() -> None:
    listing = gather(RESULT).cells["locale", "hu", "lora"]
    samples = {sample.id: sample for sample in RESULT.samples}
    assert [samples[name].locale for name in listing.ids] == ["hu"]


def test_an_id_that_is_no_sample_has_no_entry() -> None:
    judged = RESULT.judged[0]
    finding = msgspec.structs.replace(judged.findings[0], failed=("stranger",))
    result = msgspec.structs.replace(
        RESULT, judged=(msgspec.structs.replace(judged, findings=(finding,)),)
    )
    listing = gather(result).gates["lora", finding.name]
    assert (listing.ids, listing.more) == ((), 1)


def test_one_generator_has_no_pairs() -> None:
    assert gather(without_verdicts(RESULT)).pairs == ()


def test_an_empty_value_is_no_group() -> None:
    assert "" not in groups(RESULT.samples, "variant")
    assert list(groups(RESULT.samples, "locale")) == ["ar", "de", "en", "fr", "hu"]
