"""The official suites, read from their beginnings: no live stream ends for nothing."""

import json

import pytest

from structured.check import check
from structured.outcome import Accepted
from structured.schema import Schema, compile_schema
from structured.viable import Viable
from tests.conformance.suites import parsing_texts, schema_groups

ANYTHING = compile_schema(b"true", name="anything")


def accepted(text: str, schema: Schema) -> bool:
    outcome = check(
        text.encode(), schema, context_ids=None, finish_reason="stop", repair=False
    )
    return isinstance(outcome, Accepted)


def given_up(text: str, schema: Schema) -> bool:
    """Whether any beginning of a text is given up."""
    viable = Viable(schema.guide)
    return any(viable.feed(letter) is not None for letter in text)


@pytest.mark.parametrize("optional", [False, True])
def test_no_beginning_of_a_valid_instance_is_given_up(*, optional: bool) -> None:
    groups, remotes = schema_groups(optional=optional)
    seen, lost = 0, list[str]()
    for group in groups:
        if group.file == "cross-draft.json":  # leads to another draft: no schema here
            continue
        source = json.dumps(group.schema).encode()
        schema = compile_schema(source, name=group.file, registered=remotes)
        for test in group.tests:
            text = json.dumps(test["data"], ensure_ascii=False)
            if test["valid"] and accepted(text, schema):
                seen += 1
                if given_up(text, schema):
                    lost.append(f"{group.file}: {group.description}: {text}")
    assert lost == []
    assert seen == (84 if optional else 741)


def test_no_beginning_of_a_strict_text_is_given_up() -> None:
    texts = {
        name: raw.decode()
        for name, raw in parsing_texts().items()
        if accepted(raw.decode("utf-8", "replace"), ANYTHING)
    }
    assert len(texts) > 90
    assert [name for name, text in texts.items() if given_up(text, ANYTHING)] == []
