"""The tasks one by one: what each kind of sample has to be in order to test anything."""

import re
from collections import Counter, defaultdict

import pytest

from evals.data.generate import generate
from evals.data.words import (
    Documents,
    Entities,
    Locales,
    Lookalike,
    Notes,
    Properties,
    Redteam,
    Refusal,
    read,
)
from evals.samples import Sample


@pytest.fixture(scope="module")
def by_task() -> dict[str, list[Sample]]:
    tasks: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in generate():
        tasks[sample.task].append(sample)
    return tasks


def test_grounding_asks_for_values_pairs_labels_and_summaries(
    by_task: dict[str, list[Sample]],
) -> None:
    intents = Counter(sample.intent for sample in by_task["grounding"])
    assert set(intents) == {"extract", "classify", "summarise"}
    assert min(intents.values()) >= 30
    pairs = [
        s
        for s in by_task["grounding"]
        if s.intent == "extract" and len(s.expected.citations) == 2
    ]
    assert len(pairs) >= 30
    assert all(2 <= len(s.input.context) <= 4 for s in by_task["grounding"])


def test_a_near_miss_tells_the_asked_fact_of_another_or_another_fact_of_the_same(
    by_task: dict[str, list[Sample]],
) -> None:
    values = [
        s
        for s in by_task["grounding"]
        if s.intent == "extract" and len(s.expected.citations) == 1
    ]
    same = sum(
        any(
            s.provenance.entity in item.text
            for item in s.input.context
            if item.id not in s.expected.citations
        )
        for s in values
    )
    assert same > len(values) / 4


def test_doubt_has_empty_contexts_near_misses_and_questions_beyond(
    by_task: dict[str, list[Sample]],
) -> None:
    kinds = Counter(sample.variant for sample in by_task["doubt"])
    assert set(kinds) == {"near-miss", "beyond", "empty"}
    assert kinds["empty"] >= 5
    for sample in by_task["doubt"]:
        assert sample.expected.status == "uncertain"
        assert bool(sample.input.context) == (sample.variant != "empty")


def test_no_passage_of_doubt_states_the_asked_property_of_the_asked_product(
    by_task: dict[str, list[Sample]],
) -> None:
    homes = {ask: p for p in read(Properties).properties for ask in p.asks}
    missed = [s for s in by_task["doubt"] if s.provenance.template in homes]
    assert missed
    for sample in missed:
        product = re.escape(sample.provenance.entity)
        for state in homes[sample.provenance.template].states:
            pattern = re.escape(state).replace(r"\{p\}", product)
            pattern = pattern.replace(r"\{v\}", ".+")
            texts = " ".join(item.text for item in sample.input.context)
            texts = texts.replace(" an ", " a ")
            assert not re.search(pattern, texts, re.IGNORECASE), sample.id


def test_refusals_are_worded_in_many_ways_and_none_is_worn_out(
    by_task: dict[str, list[Sample]],
) -> None:
    wordings = Counter(sample.provenance.template for sample in by_task["refusal"])
    assert len(wordings) >= 120
    assert max(wordings.values()) <= 6
    assert len({sample.variant for sample in by_task["refusal"]}) == 9


def test_each_request_to_be_refused_names_something_so_that_no_two_are_the_same(
    by_task: dict[str, list[Sample]],
) -> None:
    for family in read(Refusal).families:
        assert all(re.search(r"\{(p|who|id)\}", ask) for ask in family.requests)
    asked = [
        (s.input.user, *sorted(item.text for item in s.input.context))
        for s in by_task["refusal"]
    ]
    assert len(set(asked)) == len(asked)


def test_an_order_to_be_refused_stands_in_the_passage_that_is_named(
    by_task: dict[str, list[Sample]],
) -> None:
    obeys = [s for s in by_task["refusal"] if s.variant == "obey"]
    follows = [
        s
        for s in by_task["redteam"]
        if s.variant == "injection" and s.expected.status == "refused"
    ]
    assert obeys
    assert follows
    for sample in (*obeys, *follows):
        named = [item for item in sample.input.context if item.id in sample.input.user]
        assert named, sample.id


def test_lookalikes_are_known_as_such_and_use_the_words_of_the_forbidden(
    by_task: dict[str, list[Sample]],
) -> None:
    assert all(s.is_lookalike and s.accepted for s in by_task["lookalike"])
    wordings = Counter(s.provenance.template for s in by_task["lookalike"])
    assert len(wordings) >= 60
    assert max(wordings.values()) <= 5


def test_each_lookalike_holds_its_value_in_its_passage() -> None:
    for safe in read(Lookalike).safe:
        assert safe.value in safe.passage, safe.passage


def test_labels_are_never_written_in_their_own_messages() -> None:
    for labels in read(Notes).labels:
        said = " ".join(text for texts in labels.texts.values() for text in texts)
        said += " ".join(read(Entities).kinds)
        assert not [label for label in labels.texts if label in said.casefold()]


def test_each_key_of_a_summary_is_in_its_note() -> None:
    for note in read(Notes).notes:
        assert all(key in note.text.casefold() for key in note.keys), note.text
        assert any(key in note.core.casefold() for key in note.keys), note.core


def test_attacks_come_in_four_kinds_and_each_forbids_something(
    by_task: dict[str, list[Sample]],
) -> None:
    kinds = Counter(sample.variant for sample in by_task["redteam"])
    assert set(kinds) == {"jailbreak", "pii_bait", "injection", "tool_misuse"}
    assert min(kinds.values()) >= 30
    words = read(Redteam)
    refusals = (
        *(family.answer for family in read(Refusal).families),
        words.jailbreak.answer,
        words.pii_bait.answer,
        words.injection.answer,
        words.tool_misuse.answer,
    )
    for sample in by_task["redteam"]:
        assert sample.forbidden
        for bad in sample.forbidden:
            assert len(bad) >= 8, sample.id
            assert bad not in sample.expected.answer
            assert not [answer for answer in refusals if bad in answer]


def test_what_an_attack_asks_for_lies_within_the_models_reach(
    by_task: dict[str, list[Sample]],
) -> None:
    for sample in by_task["redteam"]:
        texts = (sample.input.user, *(item.text for item in sample.input.context))
        reachable = " ".join(texts)
        assert all(bad in reachable for bad in sample.forbidden), sample.id


def test_a_harmless_question_beside_an_injection_is_to_be_answered(
    by_task: dict[str, list[Sample]],
) -> None:
    injected = [s for s in by_task["redteam"] if s.variant == "injection"]
    statuses = Counter(sample.expected.status for sample in injected)
    assert min(statuses["ok"], statuses["refused"]) >= 8
    for sample in injected:
        if sample.expected.status == "ok":
            assert sample.forbidden[0] not in sample.input.user
    within = [
        s
        for s in injected
        for item in s.input.context
        if item.id in s.expected.citations and s.forbidden[0] in item.text
    ]
    assert within


def test_a_document_is_the_same_in_every_locale_but_for_the_language(
    by_task: dict[str, list[Sample]],
) -> None:
    documents: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in by_task["locales"]:
        documents[sample.document].append(sample)
        assert f"-{sample.locale}-" in sample.id
    for samples in documents.values():
        assert len({s.locale for s in samples}) == 5
        assert len({tuple(i.id for i in s.input.context) for s in samples}) == 1
        assert len({s.expected.citations for s in samples}) == 1
        assert len({s.input.user for s in samples}) == 5
        numbers = {
            tuple(tuple(re.findall(r"\d+", i.text)) for i in s.input.context)
            for s in samples
        }
        assert len(numbers) == 1


def test_every_locale_has_a_dozen_facts_and_leaves_no_slot_open(
    by_task: dict[str, list[Sample]],
) -> None:
    words = read(Locales)
    assert len(words.facts) >= 12
    for fact in words.facts:
        assert all(len(row) == len(words.locales) for row in fact.choices)
        kinds = (fact.range != (0, 0), bool(fact.names), bool(fact.choices))
        assert sum(kinds) == 1, fact.name
    asked = {s.provenance.template for s in by_task["locales"]}
    assert asked == {fact.name for fact in words.facts}


def test_no_slot_is_left_open_anywhere(by_task: dict[str, list[Sample]]) -> None:
    slot = re.compile(r"\{(p|v|who|id|m|n|a|b|labels|nom|gen|dat|acc)\}|<\d+-\d+>")
    for samples in by_task.values():
        for sample in samples:
            texts = [sample.input.user, sample.expected.answer, *sample.accepted]
            texts += [item.text for item in sample.input.context]
            assert not [text for text in texts if slot.search(text)], sample.id


def test_a_passage_keeps_its_id_in_every_variant_of_its_document(
    by_task: dict[str, list[Sample]],
) -> None:
    documents: defaultdict[str, dict[str, Sample]] = defaultdict(dict)
    for sample in by_task["stability"]:
        documents[sample.document][sample.variant] = sample
    for variants in documents.values():
        texts: dict[str, str] = {}
        for variant, sample in variants.items():
            for item in sample.input.context:
                if variant == "long":
                    assert texts[item.id] in item.text
                else:
                    assert texts.setdefault(item.id, item.text) == item.text
        for k in (1, 2, 4, 8):
            assert len(variants[f"k={k}"].input.context) == k
        four = variants["k=4"].input
        assert set(variants["shuffled"].input.context) == set(four.context)
        assert variants["shuffled"].input.context != four.context
        assert variants["paraphrase"].input.context == four.context
        assert variants["paraphrase"].input.user != four.user
        assert len({s.expected for s in variants.values()}) == 1


def test_each_answer_to_a_real_text_stands_in_it_word_for_word() -> None:
    source = read(Documents)
    assert len({passage.text for passage in source.passages}) >= 36
    for passage in source.passages:
        question = passage.question
        for span in question.accepted:
            assert span in passage.text, question.ask
        assert any(span in question.answer for span in question.accepted)
