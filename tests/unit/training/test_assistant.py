import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from training import config as configs
from training.assistant import generate as made_by, pairs as pairs_by
from training.assistant.draw import holds
from training.assistant.generate import Example, examples, generate, sound
from training.assistant.words import LANGUAGES, Words, words_of
from training.curate import pipeline
from training.curate.pii import Scrubber
from training.curate.pipeline import Curated
from training.curate.records import Record, flaw
from training.data.pairs import Pair
from training.examples import INTENTS, Output, digest
from training.joined import join
from training.preference import dumps, pairs_digest

PLAN = Path(made_by.__file__).with_name("curation.toml")
OWN = PLAN.with_name("acme-behav-lora@v2.own.jsonl")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def records() -> tuple[Record, ...]:
    return generate()


@pytest.fixture(scope="module")
def known() -> tuple[Example, ...]:
    seed, splits = made_by.DEFAULT_SEED, made_by.SPLITS
    return tuple(examples(made_by.DEFAULT_COUNT, seed, splits))


@pytest.fixture(scope="module")
def curated(records: tuple[Record, ...]) -> Curated:
    return pipeline.curate(records, pipeline.load(PLAN), Scrubber(b"0" * 16))


@pytest.fixture(scope="module")
def pairs() -> tuple[Pair, ...]:
    return pairs_by.make_pairs()


def test_the_same_seed_gives_the_same_bytes(records: tuple[Record, ...]) -> None:
    assert msgspec.json.encode(generate()) == msgspec.json.encode(records)


def test_another_seed_gives_other_examples() -> None:
    assert generate(100, seed=1) != generate(100, seed=2)


def test_every_example_is_one_that_curation_takes(records: tuple[Record, ...]) -> None:
    assert [what for record in records if (what := flaw(record))] == []


def test_intents_are_balanced(records: tuple[Record, ...]) -> None:
    assert set(Counter(record.intent for record in records).values()) == {1040}


def test_two_thirds_are_english_and_each_language_has_each_intent(
    records: tuple[Record, ...],
) -> None:
    regions = Counter(record.region for record in records)
    assert 0.6 < regions["US"] / len(records) < 0.7
    there = {(record.region, record.intent) for record in records}
    assert there == {(r, i) for r in made_by.REGIONS.values() for i in INTENTS}


def test_citations_are_there_where_and_only_where_something_is_answered(
    records: tuple[Record, ...],
) -> None:
    for record in records:
        cited = record.output.citations
        assert bool(cited) == (record.output.status == "ok"), record.id
        assert set(cited) <= record.input.context_ids, record.id


def test_what_was_asked_for_stands_in_the_cited_passages_and_in_no_other(
    known: tuple[Example, ...],
) -> None:
    for example in known:
        made = example.made
        assert sound(made), made
        cited = {i.text for i in made.input.context if i.id in made.output.citations}
        for fact in made.facts:
            assert set(fact.texts) <= cited or not cited, made


def test_an_extracted_value_is_the_answer_word_by_word(
    known: tuple[Example, ...],
) -> None:
    for example in known:
        if example.intent == "extract":
            for fact in example.made.facts:
                assert holds(example.made.output.answer, fact.value)


def test_a_question_without_an_answer_has_no_passage_that_gives_it(
    known: tuple[Example, ...],
) -> None:
    for example in known:
        if example.intent == "uncertain":
            assert not [f for f in example.made.facts if f.texts], example.made


def test_minimal_pairs_differ_in_the_answering_passage_alone(
    known: tuple[Example, ...],
) -> None:
    def of(intent: str) -> list[Example]:
        return [example for example in known if example.intent == intent]

    twins = [
        (one.made, two.made)
        for one, two in zip(of("extract"), of("uncertain"), strict=True)
        if two.made.kind.startswith("without")
    ]
    assert len(twins) > 200
    for whole, without in twins:
        assert whole.input.user == without.input.user
        rest = [i for i in whole.input.context if i.id not in whole.output.citations]
        assert list(without.input.context) == rest


def test_no_marker_of_an_order_comes_into_an_answer(known: tuple[Example, ...]) -> None:
    for example in known:
        if example.made.kind == "injected":
            answer = example.made.output.answer
            shown = " ".join(value for _, value in example.made.wrong)
            assert answer.rstrip(".") not in shown


def test_a_label_is_one_of_those_offered(known: tuple[Example, ...]) -> None:
    for example in known:
        if example.intent == "classify":
            label = example.made.output.answer.rstrip(".")
            assert holds(example.made.input.user, label), example.made


def test_refusals_are_of_few_sentences_and_cite_nothing(
    known: tuple[Example, ...],
) -> None:
    refused = [e.made.output for e in known if e.intent == "refuse"]
    assert len({output.answer for output in refused}) <= 8 * len(LANGUAGES)
    assert max(len(output.answer.split()) for output in refused) <= 9


def test_the_answer_stands_at_every_place_among_few_passages(
    known: tuple[Example, ...],
) -> None:
    places: Counter[tuple[int, int]] = Counter()
    for example in known:
        if example.made.kind == "value":
            ids = [item.id for item in example.made.input.context]
            places[len(ids), ids.index(example.made.output.citations[0])] += 1
    assert all(places[size, at] for size in (2, 3, 4) for at in range(size))


def wordings(words: Words) -> Iterator[str]:
    for prop in words.properties:
        yield from (prop.noun, *prop.says, *prop.asks)
    for family in words.families:
        yield from (*family.requests, *family.baits)
    for one in words.lookalikes:
        yield from (one.says, *one.asks)
    for paragraph in words.paragraphs:
        yield from (paragraph.text, *(user for user, _ in paragraph.qa))
    for labels in words.labels:
        for texts in labels.texts.values():
            yield from texts
    yield from (note for _, note, _ in words.notes)
    for found in (
        words.fillers, words.beyond, words.both, words.summaries, words.labelling,
        words.orders, words.dresses, words.systems, words.people, words.brands,
    ):  # fmt: skip
        yield from found


def test_what_is_tested_is_worded_otherwise_than_what_is_learnt() -> None:
    for language in LANGUAGES:
        trained = set(wordings(words_of(language, "train")))
        tested = set(wordings(words_of(language, "test")))
        assert tested
        assert not trained & tested


def test_validation_has_brands_of_its_own_and_the_sentences_of_training() -> None:
    for language in LANGUAGES:
        train, val = words_of(language, "train"), words_of(language, "val")
        assert not set(train.brands) & set(val.brands)
        assert train.properties == val.properties


def test_no_brand_of_the_test_is_in_training(records: tuple[Record, ...]) -> None:
    held = words_of("en", "test").brands
    learnt = [r for r in records if r.date and r.date <= made_by.PERIODS["train"][1]]
    text = " ".join(i.text for record in learnt for i in record.input.context)
    assert not [brand for brand in held if re.search(rf"\b{brand}\b", text)]


def test_properties_paragraphs_and_most_requests_of_training_are_used(
    known: tuple[Example, ...],
) -> None:
    learnt = [e for e in known if e.split == "train"]
    for language in LANGUAGES:
        words = words_of(language, "train")
        mine = [e.made.input for e in learnt if e.language == language]
        text = "\n".join(
            part for given in mine for part in (given.user, *(i.text for i in given.context))
        )  # fmt: skip
        for prop in words.properties:
            assert any(begun(said) in text for said in prop.says), prop
        for paragraph in words.paragraphs:
            assert paragraph.text in text
        said = sum(begun(r) in text for f in words.families for r in f.requests)
        # Requests are dealt like cards: none comes again before all have come.
        there = sum(len(family.requests) for family in words.families)
        refused = sum(e.intent == "refuse" for e in learnt if e.language == language)
        assert said > 0.9 * min(there, refused), language


def begun(text: str) -> str:
    """The longest piece between slots."""
    return max(re.split(r"\{\w+\}", text), key=len)


def test_the_configurations_name_what_is_made_here(
    curated: Curated, pairs: tuple[Pair, ...]
) -> None:
    made = {
        digest(pipeline.examples(curated, "train")): "curated",
        pairs_digest(pairs): "pairs",
    }
    named = [
        (path, key, getattr(configs.load(path), key).digest)
        for path in (*ROOT.glob("training/configs/*.toml"), *ROOT.glob("lab/*.toml"))
        for key in ("curated", "pairs")
        if f"[{key}]" in path.read_text() and '"DIGEST"' not in path.read_text()
    ]
    assert {key for _, key, _ in named} == {"curated", "pairs"}
    for path, key, value in named:
        assert made.get(value) == key, path


def test_the_pairs_of_the_shipped_adapter_can_be_made_again(
    pairs: tuple[Pair, ...], tmp_path: Path
) -> None:
    (tmp_path / "pairs.jsonl").write_bytes(dumps(pairs))
    template = ROOT / "training/configs/acme-behav-pref@v2.toml"
    files = (tmp_path / "pairs.jsonl", OWN)
    made = join(files, tmp_path / "out", template=template, limit=160)
    manifest = ROOT / "models/acme-behav-pref@v2/manifest.json"
    assert msgspec.json.decode(manifest.read_bytes())["data"]["digest"] == made.digest


def test_nothing_in_it_looks_like_personal_data(curated: Curated) -> None:
    assert curated.scrubbed == {}


def test_curation_leaves_enough_for_training_and_usable_splits(
    curated: Curated,
) -> None:
    sizes = {split: len(found) for split, found in curated.splits.items()}
    assert sizes["train"] >= 1600
    assert sizes["val"] >= 100
    assert sizes["test"] >= 180
    intents = Counter(record.intent for record in curated.splits["train"])
    assert min(intents.values()) >= 300
    assert max(intents.values()) <= 800


def test_few_are_lost_as_near_duplicates(curated: Curated) -> None:
    lost = sum("near-duplicate" in one.reason for one in curated.dropped)
    assert lost < 0.15 * made_by.DEFAULT_COUNT


def test_pairs_are_the_same_for_the_same_seed(pairs: tuple[Pair, ...]) -> None:
    assert pairs_by.make_pairs() == pairs
    assert len(pairs) == 500


def test_the_preferred_answer_adheres_and_the_other_one_differs(
    pairs: tuple[Pair, ...],
) -> None:
    for pair in pairs:
        chosen = msgspec.json.decode(pair.chosen, type=Output)
        assert chosen.text() == pair.chosen
        assert set(chosen.citations) <= pair.input.context_ids
        assert pair.rejected != pair.chosen


def test_most_failures_are_of_the_kind_that_counts(pairs: tuple[Pair, ...]) -> None:
    faults = Counter(pair.fault for pair in pairs)
    heavy = ("wrong-value", "miscited", "guess", "overrefusal", "complied")
    assert set(faults) == set(pairs_by.FAILURES)
    assert sum(faults[fault] for fault in heavy) >= 0.65 * len(pairs)


def test_pairs_ask_nothing_that_the_supervised_examples_answer(
    pairs: tuple[Pair, ...], records: tuple[Record, ...]
) -> None:
    taught = {record.input for record in records if record.input.context}
    assert not [pair for pair in pairs if pair.input in taught]
