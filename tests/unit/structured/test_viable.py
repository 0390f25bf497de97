"""Beginnings: none that can become valid is given up, and the hopeless ones are."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from bench.corruptions import instances
from structured.check import check
from structured.outcome import Accepted
from structured.parse import MAX_DEPTH, MAX_NODES
from structured.schema import Schema, compile_schema
from structured.viable import Viable
from tests.unit.structured.cases import CORRUPTIONS, Case, cases
from tests.unit.structured.spellings import SCHEMAS, Spelt, spelt

CUTS = st.lists(st.integers(0, 400), max_size=6)


MARKS = (*'{}[]",:\\/ue+-.019 \n\x00é😀tn', "", "\\ud83d", "\\ude00", "1e999")


def accepted(text: str, schema: Schema) -> bool:
    outcome = check(
        text.encode(), schema, context_ids=None, finish_reason="stop", repair=False
    )
    return isinstance(outcome, Accepted)


def fed(schema: Schema, *pieces: str) -> tuple[Viable, bool]:
    viable = Viable(schema.guide)
    return viable, all(viable.feed(piece) is None for piece in pieces)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


@given(cases(), CUTS)
def test_no_beginning_of_a_valid_text_is_given_up(case: Case, cuts: list[int]) -> None:
    viable, alive = fed(case.schema, *pieces(case.text, cuts))
    assert alive
    if case.text[:1] in ("{", "["):
        assert viable.closing == len(case.text) - 1


@given(spelt(), CUTS)
def test_nor_is_one_of_any_schema_in_any_spelling(one: Spelt, cuts: list[int]) -> None:
    assert accepted(one.text, one.schema)
    assert fed(one.schema, *pieces(one.text, cuts))[1]
    assert fed(one.schema, *one.text)[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("recursive reference", '{"v":1,"next":{"v":2.0,"next":null},"all":[{"v":3}]}'),
        ("root reference", '{"a":{"b":{}}}'),
        ("keywords beside a reference", '{"s":"é","o":{"x":1,"y":null}}'),
        ("long chain of references", "[1, 10e-1]"),
        ("anchor and escaped pointers", '{"a/b~c":"s","":0,"\\u0024ref":"\\ud83d\\ude00"}'),
        ("resource of its own", '{"a":1}'),
        ("anyOf, allOf, oneOf, not, if", '{"a":1,"b":1.0,"c":7,"d":false}'),
        ("enum of anything", '{"one":1.0,"any":[1,{"k":25e-1}],"typed":"1"}'),
        ("enum of anything", '{"any":"\\u0061","typed":1e0,"other":[]}'),
        ("pattern properties", '{"n":1,"x":"","\\u0078y":"/"}'),
        ("prefix items", '["a",["b"],1,2.0]'),
        ("nothing after the prefix", "[null]"),
        ("numbers", "[-0,1E+2,1.5e-3,null]"),
        ("integers", '{"a":1.0,"b":1e300}'),
        ("one scalar", "false"),
        ("anything", '["\\ud83d\\uDE00\\/\\b"]'),
    ],
)  # fmt: skip
def test_nor_is_an_example_of_each_letter_by_letter(name: str, text: str) -> None:
    assert accepted(text, SCHEMAS[name])
    assert fed(SCHEMAS[name], *text)[1]


def test_letter_by_letter_none_is_given_up_either() -> None:
    for one in instances(seed=11, count=60):
        viable, alive = fed(one.schema, *one.text.decode())
        assert alive, one.text
        assert viable.closing == len(one.text.decode()) - 1


@given(case=cases(), name=st.sampled_from(sorted(CORRUPTIONS)), at=st.integers(0, 500))
def test_a_text_that_is_given_up_is_not_valid(case: Case, name: str, at: int) -> None:
    raw = CORRUPTIONS[name](case.text.encode(), at)
    text = raw.decode("utf-8", "replace")
    _, alive = fed(case.schema, text)
    if not alive:
        assert not accepted(text, case.schema)


@given(spelt(), CUTS, st.integers(0, 400), st.sampled_from(MARKS))
def test_what_is_given_up_after_one_change_is_not_valid(
    one: Spelt, cuts: list[int], at: int, mark: str
) -> None:
    place = at % (len(one.text) + 1)
    text = one.text[:place] + mark + one.text[place + 1 :]
    _, whole = fed(one.schema, text)
    assert fed(one.schema, *pieces(text, cuts))[1] == whole
    assert whole or not accepted(text, one.schema)


ANYTHING = compile_schema(b"true", name="anything")
SCHEMA = compile_schema(
    json.dumps(
        {
            "type": "object",
            "properties": {
                "status": {"enum": ["ok", "refused"]},
                "n": {"type": "integer"},
                "list": {"type": "array", "items": {"$ref": "#/$defs/t"}},
            },
            "additionalProperties": False,
            "$defs": {"t": {"type": "string"}},
        }
    ).encode(),
    name="test",
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Sure", "syntax"),
        ("```", "syntax"),
        ("[", "schema"),
        ('{"answer"', "schema"),
        ('{"status":"maybe"', "schema"),
        ('{"n":"', "schema"),
        ('{"n":tru', "schema"),
        ('{"list":[1', "schema"),
        ('{"n":1,"n"', "duplicate_key"),
        ('{"n":01,', "syntax"),
        ('{"n":1,}', "syntax"),
        ('{"n":1]', "syntax"),
        ("{'n'", "syntax"),
        ('{"n"}', "syntax"),
        ('{"n":1}x', "syntax"),
        ('{"n":1}{', "syntax"),
        ('{"status":"\n', "syntax"),
        ('{"status":"\\x', "syntax"),
        ('{"status":"\\u00zz', "syntax"),
        ('{"status":"\ud800', "syntax"),
        ('{"list":["\\ud800"', "syntax"),
        ('{"list":[nan', "schema"),
        (",", "syntax"),
        ("}", "syntax"),
    ],
)
def test_a_hopeless_beginning_is_given_up(text: str, code: str) -> None:
    viable = Viable(SCHEMA.guide)
    fault = viable.feed(text)
    assert fault is not None
    assert fault.code == code
    assert viable.feed(" ") == fault


@pytest.mark.parametrize("text", ["", " \n", '{"n":-', '{"n":1e', '{"n":t'[:5], '{"st'])
def test_an_open_beginning_is_not(text: str) -> None:
    assert fed(SCHEMA, text)[1]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[", ""),
        ('{"n":"', "/n"),
        ('{"n":01,', "/n"),
        ('{"n" 1', "/n"),
        ('{"n":1 "', ""),
        ('{"list":["a",1', "/list/1"),
        ('{"list":["a" 1', "/list"),
        ('{"list":["a"],"list"', ""),
        ('{"status":"maybe"', "/status"),
        ('{"\\u006e":"', "/n"),
    ],
)
def test_the_path_leads_to_what_is_wrong(text: str, path: str) -> None:
    fault = Viable(SCHEMA.guide).feed(text)
    assert fault is not None
    assert fault.path == path


def test_the_path_ends_where_a_key_is_not_the_schemas() -> None:
    loose = compile_schema(
        b'{"properties":{"a":{"type":"object","properties":{"b/c":{"type":"null"}}}}}',
        name="loose",
    )
    known = Viable(loose.guide).feed('{"x":{"y":[]},"a":{"z":1,"b/c":1')
    assert known is not None
    assert known.path == "/a/b~1c"
    unknown = Viable(loose.guide).feed('{"a":{"secret":{"b/c":tru}')
    assert unknown is not None
    assert unknown.path == "/a"


def test_a_path_is_no_longer_than_any_other() -> None:
    name = "n" * 200
    source = {"properties": {name: {"$ref": "#"}}, "type": "object"}
    long = compile_schema(json.dumps(source).encode(), name="long")
    fault = Viable(long.guide).feed(f'{{"{name}":' * 9 + "1")
    assert fault is not None
    assert len(fault.path) == 300


QUOTED = "Z#Ж"
"""Three letters that no message of ours and no schema here has."""


@given(one=spelt(), mark=st.sampled_from(MARKS), at=st.integers(0, 400))
def test_no_fault_quotes_the_text(one: Spelt, mark: str, at: int) -> None:
    place = at % (len(one.text) + 1)
    told = f"{QUOTED}{mark}{QUOTED}"
    text = one.text[:place] + told + one.text[place:]
    fault = Viable(one.schema.guide).feed(text) or Viable(ANYTHING.guide).feed(
        "[" + told
    )
    assert fault is not None
    assert not set(QUOTED) & set(fault.message + fault.path)


BRACKETS = st.lists(
    st.sampled_from([("[", "]"), (" [ ", " ]"), ('{"k":', "}"), (' { "k" : ', " } ")]),
    min_size=MAX_DEPTH - 2,
    max_size=MAX_DEPTH + 1,
)
INNERMOST = st.sampled_from(["1", '"s"', "[]", "{}", "[ \n]", "{ }", "[1]", "[{}]"])


@given(BRACKETS, INNERMOST)
def test_as_deep_as_the_parser_goes_and_no_deeper(
    brackets: list[tuple[str, str]], innermost: str
) -> None:
    text = "".join(opener for opener, _ in brackets) + innermost
    text += "".join(closer for _, closer in reversed(brackets))
    viable = Viable(ANYTHING.guide)
    fault = viable.feed(text)
    assert (fault is None) == accepted(text, ANYTHING)
    assert fault is None or fault.code == "too_deep"
    assert fault is not None or viable.closing == len(text.rstrip()) - 1


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
@pytest.mark.parametrize("opener", ["[", '{"k":', '[{"k":'])
def test_the_edge_is_where_a_value_would_be_one_level_too_deep(
    opener: str, levels: int
) -> None:
    times, rest = divmod(levels, opener.count("[") + opener.count("{"))
    opened = "[" * rest + opener * times
    closers = {"[": "]", "{": "}"}
    closed = "".join(closers[c] for c in reversed(opened) if c in closers)
    for inside, level in (("1", levels), ("[]", levels + 1), ("{}", levels + 1)):
        text = opened + inside + closed
        assert fed(ANYTHING, *text)[1] == accepted(text, ANYTHING)
        assert accepted(text, ANYTHING) == (level <= MAX_DEPTH + (inside != "1"))


@pytest.mark.parametrize("item", ["1", '"a"', "[]", "null"])
def test_as_many_values_as_are_looked_at_and_no_more(item: str) -> None:
    most = "[" + ",".join([item] * (MAX_NODES - 1)) + "]"
    assert accepted(most, ANYTHING)
    assert fed(ANYTHING, most)[1]
    more = f"{most[:-1]},{item}]"
    assert not accepted(more, ANYTHING)
    fault = Viable(ANYTHING.guide).feed(more[:-1])
    assert fault is not None
    assert fault.code == "too_large"
