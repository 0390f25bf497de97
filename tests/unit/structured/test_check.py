"""The stages of a check, example by example."""

import pytest

from structured.check import check
from structured.outcome import Accepted, Rejected
from structured.schema import Schema, compile_schema

GOOD = b'{"status":"ok","answer":"x","citations":["S1"]}'
OTHER = b'{"status":"refused","answer":"x","citations":[]}'
IDS = frozenset({"S1", "S2"})


def run(raw: bytes, schema: Schema, *, repair: bool = True) -> Accepted | Rejected:
    return check(raw, schema, context_ids=IDS, finish_reason="stop", repair=repair)


def kinds(outcome: Accepted | Rejected) -> list[str]:
    return [one.kind for one in outcome.repairs]


def code(outcome: Accepted | Rejected) -> str:
    assert isinstance(outcome, Rejected), outcome
    return f"{outcome.stage}/{outcome.code}"


@pytest.mark.parametrize("raw", [GOOD, b" \r\n\t" + GOOD + b"\n\n"])
def test_valid_bytes_go_out_as_they_came(assist: Schema, raw: bytes) -> None:
    outcome = run(raw, assist)
    assert isinstance(outcome, Accepted)
    assert (outcome.raw, outcome.repairs) == (raw, ())


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("length", "gate/truncated"),
        (None, "gate/incomplete"),
        ("abort", "gate/incomplete"),
        ("error", "gate/incomplete"),
        ("content_filter", "gate/incomplete"),
        ("tool_calls", "gate/incomplete"),
        ("", "gate/incomplete"),
    ],
)
def test_an_answer_that_did_not_stop_by_itself_is_refused_even_if_it_is_valid(
    assist: Schema, reason: str | None, expected: str
) -> None:
    outcome = check(GOOD, assist, context_ids=IDS, finish_reason=reason, repair=True)
    assert code(outcome) == expected


@pytest.mark.parametrize(
    ("raw", "expected", "path"),
    [
        (GOOD.replace(b'"S1"', b'"S3"'), "strict/citation_unknown", "/citations/0"),
        (GOOD.replace(b'"S1"', b'"S9 "'), "strict/citation_unknown", "/citations/0"),
        (GOOD.replace(b'"ok"', b'"OK"'), "strict/schema", "/status"),
        (b"[" + GOOD + b"]", "strict/schema", ""),
        (b'"prose"', "strict/schema", ""),
        (GOOD[:-1] + b',"status":"ok"}', "strict/duplicate_key", ""),
        (GOOD.replace(b'"x"', b'"caf\xe9"'), "strict/invalid_encoding", ""),
        (GOOD.replace(b'"x"', b"1e999"), "strict/number_out_of_range", ""),
        (b"x" * 10_000_000, "gate/too_large", ""),
        (b"[" * 1_000_000, "strict/too_deep", ""),
    ],
)
def test_what_no_repair_can_help_is_refused_where_it_is_wrong(
    assist: Schema, raw: bytes, expected: str, path: str
) -> None:
    outcome = run(raw, assist)
    assert code(outcome) == expected
    assert isinstance(outcome, Rejected)
    assert outcome.path == path


def test_a_citation_given_twice_is_refused_whatever_the_schema_says() -> None:
    free = compile_schema(b'{"type":"object"}', name="free")
    outcome = run(b'{"citations":["S1","S1"]}', free)
    assert code(outcome) == "strict/citation_repeated"


@pytest.mark.parametrize("cited", [b'"S1"', b"[1]", b'[{"id":"S1"}]', b"null"])
def test_citations_that_cannot_be_checked_are_not_passed(cited: bytes) -> None:
    free = compile_schema(b'{"type":"object"}', name="free")
    outcome = run(b'{"citations":' + cited + b"}", free)
    assert code(outcome) == "strict/citation_type"


def test_without_a_context_citations_are_the_schemas_business(assist: Schema) -> None:
    raw = GOOD.replace(b"S1", b"anything")
    outcome = check(raw, assist, context_ids=None, finish_reason="stop", repair=False)
    assert isinstance(outcome, Accepted)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"```json\n" + GOOD + b"\n```", ["fence"]),
        (b"```\n" + GOOD + b"```\n", ["fence"]),
        (b"Sure! Here:\n```json\n" + GOOD + b"\n```\nBye", ["prose", "fence", "prose"]),
        (b"Here is the JSON: " + GOOD, ["prose"]),
        (GOOD + b"\nSources: [S1], [2], {name}.", ["prose"]),
        (GOOD + GOOD, ["repeated"]),
        (GOOD + b"\n\n" + GOOD.replace(b":", b": "), ["repeated"]),
        (b"\xef\xbb\xbf" + GOOD, ["bom"]),
        (GOOD + b"\n```", ["prose"]),
        (GOOD.replace(b'"]', b'",]'), ["trailing_comma"]),
        (GOOD[:-1] + b" , }", ["trailing_comma"]),
        (GOOD.replace(b'"ok",', b'"ok"\n'), ["missing_comma"]),
        (GOOD.replace(b'"ok",', b'"ok" '), ["missing_comma"]),
        (GOOD[:-1], ["missing_closer"]),
        (GOOD[:-1] + b"\n", ["missing_closer"]),
        (b"Answer: " + GOOD[:-1], ["prose", "missing_closer"]),
    ],
)
def test_text_around_and_marks_are_repaired_without_a_change_of_value(
    assist: Schema, raw: bytes, expected: list[str]
) -> None:
    outcome, clean = run(raw, assist), run(GOOD, assist)
    assert isinstance(outcome, Accepted), outcome
    assert isinstance(clean, Accepted)
    assert kinds(outcome) == expected
    assert repr(outcome.value) == repr(clean.value)
    assert code(run(raw, assist, repair=False)) == "strict/invalid_json"


@pytest.mark.parametrize(
    ("answer", "value", "kind"),
    [
        (b"'it is'", "it is", "single_quotes"),
        (b"'it\\'s \"so\"'", 'it\'s "so"', "single_quotes"),
        ("“it’s”".encode(), "it’s", "smart_quotes"),  # noqa: RUF001 (typographic quotes are the subject)
        ("‘yes’".encode(), "yes", "smart_quotes"),  # noqa: RUF001 (typographic quotes are the subject)
        (b'"a\n\tb\x01"', "a\n\tb\x01", "control_character"),
        (b'"```json {\\"a\\": [1}} ```"\n', '```json {"a": [1}} ```', ""),
    ],
)
def test_strings_are_read_as_they_were_meant(
    assist: Schema, answer: bytes, value: str, kind: str
) -> None:
    raw = b'{"status":"ok","answer":' + answer + b',"citations":[],}'
    outcome = run(raw, assist)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.value == {"status": "ok", "answer": value, "citations": []}
    assert kinds(outcome) == [*filter(None, [kind]), "trailing_comma"]


def test_python_literals_are_read_as_json() -> None:
    free = compile_schema(b'{"type":"object"}', name="free")
    outcome = run(b"{'a': True, 'b': [False, None], 'c': 1.5}", free)
    assert isinstance(outcome, Accepted)
    assert outcome.value == {"a": True, "b": [False, None], "c": 1.5}


def test_a_repair_names_the_byte_in_the_raw_text(assist: Schema) -> None:
    raw = "é: ".encode() + GOOD.replace(b'"]', b'",]')
    outcome = run(raw, assist)
    position = {one.kind: one.position for one in outcome.repairs}["trailing_comma"]
    assert raw[position : position + 2] == b",]"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "envelope/no_json"),
        (b"I cannot help with that.", "envelope/no_json"),
        (b"See [S1] and {name}.", "envelope/no_json"),
        (b'"see ' + GOOD + b" now", "envelope/no_json"),
        (GOOD + OTHER, "envelope/ambiguous"),
        (GOOD + b"\nor\n" + OTHER, "envelope/ambiguous"),
        (GOOD + b" {}", "envelope/ambiguous"),
        (GOOD + b" {broken: 1}", "envelope/ambiguous"),
        (GOOD + b"}", "envelope/ambiguous"),
        (GOOD + b',"extra":1}', "envelope/ambiguous"),
        (GOOD + b', "extra": 1', "envelope/ambiguous"),
        (b'"a": ' + GOOD, "envelope/no_json"),
        (b"[" + GOOD + b", 1", "envelope/ambiguous"),
        (b'x = "' + GOOD + b'"', "envelope/ambiguous"),
        (GOOD * 9, "envelope/ambiguous"),
        (GOOD.replace(b"x", b"a\x00b"), "envelope/not_repairable"),
        (GOOD[:-1] + b" " * 70_000, "envelope/not_repairable"),
    ],
)
def test_a_text_without_exactly_one_candidate_is_refused(
    assist: Schema, raw: bytes, expected: str
) -> None:
    assert code(run(raw, assist)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        GOOD[:-2],  # another citation may have followed
        GOOD[:-3],
        b'{"status":"ok","answer":"x"',
        b'{"status":"ok","answer":"x","citations":[],',
        b'{"status":"ok","answer":"x","citations":',
        b'{"status":"ok","answer":"cut',
        b"```json\n" + GOOD[:-1] + b"\n```",
        GOOD[:-1].replace(b'"ok",', b'"ok" '),  # not only closers are missing
        GOOD.replace(b'"x"', b'"say "hi" to"'),
        GOOD.replace(b'"x"', b"'it's'"),
        GOOD.replace(b'"x"', "“he said “hi””".encode()),
        GOOD.replace(b'"x"', '“mixed"'.encode()),
        GOOD.replace(b'"x"', b'"x\\\n"').replace(b'"]', b'",]'),
        GOOD.replace(b'"x"', b"'\\x41'"),
        GOOD.replace(b'"x"', b"'a\\/b'"),
        GOOD.replace(b'"x"', b"'a' 'b'"),
        GOOD.replace(b'"x"', b'"a" "b"'),
        GOOD.replace(b'"ok",', b'"ok"'),  # "" inside a string, or a comma missing
        GOOD.replace(b'"ok",', b'"ok",,'),
        GOOD.replace(b'"x"', b""),
        GOOD.replace(b'"answer"', b"answer"),
        GOOD.replace(b'"answer":', b'"answer"'),
        GOOD.replace(b'"x",', b'"x", // why\n'),
        GOOD.replace(b'["S1"]', b'["S1"}'),
        GOOD.replace(b'["S1"]', b"[01]"),
        GOOD.replace(b'["S1"]', b"[1 2]"),
        GOOD.replace(b'["S1"]', b"[,]"),
        GOOD.replace(b'["S1"]', b"[NaN]"),
        GOOD.replace(b'["S1"]', b"[1:2]"),
        GOOD.replace(b'"x"', b'```{"a":1}```'),
        GOOD.replace(b'"x"', b'"\\ud800"').replace(b'"]', b'",]'),
    ],
)
def test_a_text_with_two_readings_is_unrepairable(assist: Schema, raw: bytes) -> None:
    assert code(run(raw, assist)) == "syntax/unrepairable"


def test_a_repaired_text_must_still_satisfy_the_schema(assist: Schema) -> None:
    outcome = run(GOOD.replace(b'"ok"', b'"fine"').replace(b'"]', b'",]'), assist)
    assert code(outcome) == "strict/schema"
    assert kinds(outcome) == ["trailing_comma"]


def test_a_full_array_may_be_closed() -> None:
    pair = compile_schema(
        b'{"type":"array","maxItems":2,"items":{"$ref":"#/$defs/one"},'
        b'"$defs":{"one":{"type":"object","properties":{"n":{}},'
        b'"additionalProperties":false}}}',
        name="pair",
    )
    assert isinstance(run(b'[{"n":1},{"n":"b"', pair), Accepted)
    assert isinstance(run(b'[{"n":1},{"n":2 ', pair), Accepted)
    assert code(run(b'[{"n":1},{"n":2', pair)) == "syntax/unrepairable"
    assert code(run(b'[{"n":1},{"n":true', pair)) == "syntax/unrepairable"
    assert code(run(b'[{"n":1}', pair)) == "syntax/unrepairable"


def test_more_repairs_than_a_person_would_read_are_refused() -> None:
    free = compile_schema(b'{"type":"array"}', name="free")
    assert isinstance(run(b"[" + b"True," * 200 + b"1]", free), Accepted)
    raw = b"[" + b"True," * 300 + b"1]"
    assert code(run(raw, free)) == "syntax/unrepairable"
