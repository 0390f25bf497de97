import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from training import examples
from training.data.generate import DEFAULT_COUNTS, generate, words_of
from training.data.held_words import HELD
from training.data.train_words import TRAIN
from training.data.vocabulary import Vocabulary
from training.data.wide_words import WIDE
from training.errors import DataError
from training.examples import INTENTS, Example, Split

ROOT = Path(__file__).parents[3]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@pytest.fixture(scope="module")
def made() -> dict[Split, tuple[Example, ...]]:
    return {split: generate(split) for split in SPLITS}


def test_the_splits_have_their_sizes_and_at_least_what_was_promised(
    made: dict[Split, tuple[Example, ...]],
) -> None:
    assert {split: len(made[split]) for split in SPLITS} == DEFAULT_COUNTS
    assert len(made["train"]) >= 700
    assert len(made["test"]) >= 300


@pytest.mark.parametrize("split", SPLITS)
def test_the_same_seed_gives_the_same_bytes(
    split: Split, made: dict[Split, tuple[Example, ...]]
) -> None:
    assert examples.dumps(generate(split)) == examples.dumps(made[split])


def test_the_wide_words_give_right_examples_too() -> None:
    for example in generate("train", count=200, words="wide"):
        assert set(example.output.citations) <= example.input.context_ids
        assert bool(example.output.citations) == (example.output.status == "ok")


def test_another_seed_gives_other_examples() -> None:
    assert generate("val", seed=1) != generate("val", seed=2)


def test_fewer_examples_are_the_first_ones() -> None:
    assert generate("test", count=10) == generate("test", count=30)[:10]


@pytest.mark.parametrize("split", SPLITS)
def test_every_output_follows_the_schema_that_is_served(
    split: Split, made: dict[Split, tuple[Example, ...]]
) -> None:
    schema = msgspec.json.decode((ROOT / "schemas/assist.json").read_bytes())
    validator = jsonschema_rs.validator_for(schema)
    for example in made[split]:
        validator.validate(msgspec.json.decode(example.output.text()))


@pytest.mark.parametrize("split", SPLITS)
def test_citations_name_passages_of_their_own_context(
    split: Split, made: dict[Split, tuple[Example, ...]]
) -> None:
    for example in made[split]:
        cited = example.output.citations
        assert set(cited) <= example.input.context_ids, example.id
        assert len(set(cited)) == len(cited), example.id
        assert bool(cited) == (example.output.status == "ok"), example.id
        assert len(example.input.context_ids) == len(example.input.context), example.id
        assert len(example.input.context) <= 5, example.id


@pytest.mark.parametrize("split", SPLITS)
def test_each_intent_has_its_status_and_its_fair_share(
    split: Split, made: dict[Split, tuple[Example, ...]]
) -> None:
    shares = Counter(example.intent for example in made[split])
    assert set(shares) == set(INTENTS)
    assert max(shares.values()) - min(shares.values()) <= 1
    status = {"refuse": "refused", "uncertain": "uncertain"}
    for example in made[split]:
        assert example.output.status == status.get(example.intent, "ok"), example.id


@pytest.mark.parametrize("splits", [("train", "test"), ("val",)])
def test_no_input_is_there_twice_in_a_split_or_in_both_training_and_test(
    splits: tuple[Split, ...], made: dict[Split, tuple[Example, ...]]
) -> None:
    seen: set[tuple[str, ...]] = set()
    for example in (example for split in splits for example in made[split]):
        key = (example.input.user, *sorted(i.text for i in example.input.context))
        assert key not in seen, example.id
        seen.add(key)


def sentences(words: Vocabulary) -> Iterator[str]:
    """All wording of a vocabulary, refusals' answers apart: they are house style."""
    for attribute in words.attributes:
        yield from (*attribute.statements, *attribute.questions)
    for event in words.events:
        yield from (event.note, event.core)
    for labels in words.labels:
        for texts in labels.texts.values():
            yield from texts
    for taboo in words.taboos:
        yield from (*taboo.requests, *taboo.baits)
    for safe in words.safe:
        yield from (safe.passage, safe.question)
    yield from words.summary_requests
    yield from words.pair_requests
    yield from words.label_requests
    yield from words.injections
    yield from words.obey_requests
    yield from words.beyond
    yield from words.fillers
    yield from words.systems


def plain(text: str) -> str:
    return re.sub(
        r"[^a-z ]", "", re.sub(r"<[^>]*>|\{[^}]*\}", "", text.lower())
    ).strip()


@pytest.mark.parametrize("trained", [TRAIN, WIDE])
def test_training_and_test_share_no_sentence(trained: Vocabulary) -> None:
    held = {plain(text) for text in sentences(HELD)}
    assert not {plain(text) for text in sentences(trained)} & held


@pytest.mark.parametrize("trained", [TRAIN, WIDE])
def test_training_and_test_share_no_product_person_property_or_label(
    trained: Vocabulary,
) -> None:
    assert not set(trained.brands) & set(HELD.brands)
    assert not set(trained.kinds) & set(HELD.kinds)
    assert not {n for p in trained.people for n in p.split()} & {
        n for p in HELD.people for n in p.split()
    }
    assert not {a.noun for a in trained.attributes} & {a.noun for a in HELD.attributes}
    assert not {k for v in trained.labels for k in v.texts} & {
        k for v in HELD.labels for k in v.texts
    }


def test_validation_uses_brands_that_training_does_not() -> None:
    assert not set(words_of("train")[1]) & set(words_of("val")[1])


def test_no_test_sentence_is_a_near_copy_of_a_training_sentence() -> None:
    def shingles(text: str) -> frozenset[tuple[str, ...]]:
        words = plain(text).split()
        return frozenset(zip(words, words[1:], words[2:], strict=False))

    known = [shingles(text) for words in (TRAIN, WIDE) for text in sentences(words)]
    for text in sentences(HELD):
        mine = shingles(text)
        for other in known:
            union = mine | other
            assert not union or len(mine & other) / len(union) < 0.5, text


def test_a_value_that_is_asked_for_stands_in_the_cited_passage(
    made: dict[Split, tuple[Example, ...]],
) -> None:
    for example in made["train"]:
        if not example.id.endswith("-value"):
            continue
        texts = {item.id: item.text for item in example.input.context}
        cited = " ".join(texts[name] for name in example.output.citations)
        for number in re.findall(r"\d+", example.output.answer):
            assert number in cited, example.id


def test_forbidden_words_have_harmless_look_alikes_in_each_large_split(
    made: dict[Split, tuple[Example, ...]],
) -> None:
    for split in ("train", "test"):
        found = [e for e in made[split] if "lookalike" in e.id]
        assert len(found) >= 15
        assert {example.output.status for example in found} == {"ok"}


def test_examples_survive_writing_and_reading(
    tmp_path: Path, made: dict[Split, tuple[Example, ...]]
) -> None:
    path = tmp_path / "val.jsonl"
    path.write_bytes(examples.dumps(made["val"]))
    assert examples.load(path) == made["val"]


def test_a_malformed_line_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(examples.dumps(generate("val", count=1)) + b'{"id": 1}\n')
    with pytest.raises(DataError, match="line 2"):
        examples.load(path)


def test_the_learnt_text_is_compact_json_in_the_promised_order() -> None:
    output = examples.Output("ok", "Port 8443.", ("S1",))
    text = '{"status":"ok","answer":"Port 8443.","citations":["S1"]}'
    assert output.text() == text
