"""Key fields: where they stand, and what their tokens weigh."""

import json

import pytest

from training.errors import DataError
from training.examples import Output
from training.fields import Fields, spans, weights

HEAVY = Fields(status=3.0, citations=2.0)


@pytest.mark.parametrize(
    "value",
    [
        {"status": "ok", "answer": 'A "quoted", {odd}: answer.\n', "citations": ["S1"]},
        {"status": "refused", "answer": "", "citations": []},
        {"citations": ["a,b", "}"], "status": "uncertain", "answer": "é → \\"},
        {},
    ],
)
@pytest.mark.parametrize("blanks", [False, True])
def test_the_span_of_each_field_is_its_value(
    value: dict[str, object], *, blanks: bool
) -> None:
    text = json.dumps(value, indent=2 if blanks else None)
    found = {name: json.loads(text[a:b]) for name, (a, b) in spans(text).items()}
    assert found == value


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1', '{"a" 1}', '{"a": 1 "b": 2}'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="no JSON object"):
        spans(text)


def test_tokens_of_a_field_weigh_what_it_weighs_and_others_one() -> None:
    text = Output("ok", "Yes.", ("S1",)).text()
    each_char = [(at, at + 1) for at in range(len(text))]
    found = weights(text, each_char, HEAVY)
    heavy = {w: "".join(c for c, x in zip(text, found, strict=True) if x == w) for w in (3.0, 2.0)}  # fmt: skip
    assert heavy == {3.0: '"ok"', 2.0: '["S1"]'}
    assert set(found) == {1.0, 2.0, 3.0}


def test_a_token_that_is_partly_in_a_field_counts_as_of_it() -> None:
    text = '{"status":"ok","answer":"x"}'
    at = text.index('"ok"')
    found = weights(text, [(0, at), (at - 1, at + 1), (at + 4, at + 5)], HEAVY)
    assert found == (1.0, 3.0, 1.0)
