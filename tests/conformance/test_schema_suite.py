"""JSON-Schema-Test-Suite, draft 2020-12, through our own compile path.

The whole run has no network: pytest forbids sockets to Python, and the validator, which
is native, is built with `offline` (tests/unit/structured/test_schema.py proves that).
"""

import json

import pytest

from structured.errors import SchemaError
from structured.schema import compile_schema
from tests.conformance.suites import Group, schema_groups


@pytest.fixture(scope="module")
def required() -> tuple[list[Group], dict[str, object]]:
    return schema_groups(optional=False)


def wrong(group: Group, remotes: dict[str, object]) -> list[str]:
    """The tests of a group that come out otherwise than the suite says."""
    source = json.dumps(group.schema).encode()
    name = f"{group.file}: {group.description}"
    try:
        schema = compile_schema(source, name=name, registered=remotes)
    except SchemaError as error:
        return [f"{name}: does not compile: {error}"]
    return [
        f"{name}: {test['description']}"
        for test in group.tests
        if (schema.errors(test["data"]) is None) is not test["valid"]
    ]


def test_the_suite_is_the_whole_suite(
    required: tuple[list[Group], dict[str, object]],
) -> None:
    groups, remotes = required
    assert sum(len(group.tests) for group in groups) == 1257
    assert len({group.file for group in groups}) == 46
    assert len(remotes) == 33


def test_every_required_test_comes_out_as_it_says(
    required: tuple[list[Group], dict[str, object]],
) -> None:
    groups, remotes = required
    assert [text for group in groups for text in wrong(group, remotes)] == []


def test_the_optional_tests_come_out_too_but_for_older_drafts() -> None:
    groups, remotes = schema_groups(optional=True)
    assert len(groups) == 48
    missed = {
        text.partition(":")[0] for each in groups for text in wrong(each, remotes)
    }
    assert missed == {"cross-draft.json"}
