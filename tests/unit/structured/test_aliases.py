"""Aliases of context ids: mapped back exactly, and nothing else is touched."""

import json

import pytest
from hypothesis import given, strategies as st

from structured.aliases import Aliases
from structured.prompt import AssistInput, ContextItem

IDS = st.lists(st.text(max_size=8) | st.sampled_from(["c1", "c2"]), unique=True)


def test_the_input_names_its_items_by_alias_and_keeps_their_texts() -> None:
    context = (ContextItem("c2", "see [c2]"), ContextItem("S1", "b"))
    given_input = AssistInput("q", context, "system")
    made = Aliases(("c2", "S1")).alias(given_input)
    assert [(item.id, item.text) for item in made.context] == [
        ("c1", "see [c2]"),
        ("c2", "b"),
    ]
    assert (made.user, made.system) == ("q", "system")


@given(IDS, st.data(), st.booleans())
def test_every_citation_comes_back_as_the_id_it_stands_for(
    ids: list[str],
    data: st.DataObject,
    ascii_only: bool,  # noqa: FBT001 -- hypothesis passes it
) -> None:
    cited = data.draw(st.lists(st.integers(1, len(ids)), max_size=5)) if ids else []
    said = {"answer": "c1 [c2]", "citations": [f"c{n}" for n in cited], "x": ["c1"]}
    raw = json.dumps(said, ensure_ascii=ascii_only).encode()
    restored = json.loads(Aliases(tuple(ids)).restore(raw))
    assert restored == said | {"citations": [ids[n - 1] for n in cited]}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"answer":"c1","citations":["c9","C1","c1 "]}',
        b'{"citations":"c1"}',
        b'{"citations":{"c1":1}}',
        b'{"citations":{"a":"c1"}}',
        b'{"citations":[["c1"]]}',
        b'{"x":{"citations":["c1"]}}',
        b'["c1"]',
        b'{"citations":["c1"',
        b"prose about c1",
        b"",
        b'{"citations":["c1',
        b"\xff\xfe",
    ],
)
def test_what_is_not_a_list_of_aliases_stays_byte_for_byte(raw: bytes) -> None:
    assert Aliases(("S1",)).restore(raw) == raw


def test_an_alias_is_known_by_its_value_and_not_by_its_spelling() -> None:
    raw = b'{"citations":["\\u00631","c2"]}'
    assert Aliases(("c2", "c1")).restore(raw) == b'{"citations":["c2","c1"]}'


def test_what_is_no_alias_does_not_pass_for_the_id_it_looks_like() -> None:
    ids = ("S1", "c9", "?c9")
    restored = Aliases(ids).restore(b'{"citations":["c9","c1"]}')
    cited = json.loads(restored)["citations"]
    assert cited == ["??c9", "S1"]


def test_the_bytes_around_a_citation_stay() -> None:
    raw = b'\n{ "citations" : [ "c2" ,"c1"] , "answer":"\\u0063 1"}  '
    assert Aliases(("A", "B")).restore(raw) == (
        b'\n{ "citations" : [ "B" ,"A"] , "answer":"\\u0063 1"}  '
    )


@given(st.binary(max_size=80))
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    Aliases(("a", "b")).restore(raw)
