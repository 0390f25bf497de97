"""Registration: what compiles, and what is refused with a reason."""

import json
import socket
from hashlib import sha256
from threading import Thread

import pytest

from structured.errors import SchemaError
from structured.schema import MAX_BYTES, MAX_PATTERNS, Schema, compile_schema


def compiled(document: object) -> Schema:
    return compile_schema(json.dumps(document).encode(), name="test")


def refused(document: object) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        compiled(document)
    return caught.value


def test_a_schema_carries_the_digest_of_its_bytes() -> None:
    source = b'{"type": "object"}'
    schema = compile_schema(source, name="mine")
    assert (schema.name, schema.digest) == ("mine", sha256(source).hexdigest())


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"properties": {"a": {"pattern": "a{0,3000}x"}}}, "/properties/a/pattern"),
        ({"pattern": "(a{1000}){1000}"}, "/pattern"),
        ({"pattern": "\\p{L}{0,100}x"}, "/pattern"),
        ({"patternProperties": {"a{0,3000}": {}}}, "/patternProperties/a{0,3000}"),
        ({"pattern": "("}, "/pattern"),
    ],
)
def test_a_regular_expression_that_costs_too_much_is_refused(
    document: object, path: str
) -> None:
    error = refused(document)
    assert error.path == path
    assert "maxLength" in str(error)


@pytest.mark.parametrize(
    "pattern",
    [r"^\d{4}-\d{2}-\d{2}$", "^[a-z0-9-]{1,64}$", r"^\p{Lu}\p{Ll}+$", r"^\w{1,10}$"],
)
def test_an_ordinary_regular_expression_compiles(pattern: str) -> None:
    assert compiled({"pattern": pattern})


def test_a_schema_has_a_bounded_number_of_regular_expressions() -> None:
    def named(count: int) -> object:
        half = {"patternProperties": {f"^{n}": True for n in range(count - 1)}}
        return {"properties": {"a": half, "b": {"pattern": "x"}}}

    assert compiled(named(MAX_PATTERNS))
    assert str(MAX_PATTERNS) in str(refused(named(MAX_PATTERNS + 1)))


def test_regular_expressions_count_wherever_a_pointer_may_lead() -> None:
    parts = {str(n): {"pattern": f"a{n}"} for n in range(MAX_PATTERNS + 1)}
    used = [{"$ref": f"#/parts/{name}"} for name in parts]
    assert str(MAX_PATTERNS) in str(refused({"parts": parts, "allOf": used}))


def test_a_violation_says_where_and_does_not_quote_the_output() -> None:
    schema = compiled(
        {"properties": {"a/b": {"items": {"enum": ["x"]}}}, "required": ["a/b"]}
    )
    assert schema.errors({"a/b": ["x"]}) is None
    fault = schema.errors({"a/b": ["x", "secret"]})
    assert fault is not None
    assert fault.path == "/a~1b/1"
    assert "secret" not in fault.message
    assert schema.errors({}) is not None


def test_a_reference_inside_the_document_is_followed() -> None:
    schema = compiled(
        {
            "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
            "$ref": "#/$defs/tree",
        }
    )
    nested: list[list[list[int]]] = [[], [[]]]
    assert schema.errors(nested) is None
    assert schema.errors([[], [1]]) is not None


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.org/schema",
        "file:///etc/passwd",
        "other.json",
        "//host/x",
        "#/$defs/nowhere",
        "#/allOf/7",
        "#anchor",
        "https://json-schema.org/draft/1999-12/schema",
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(reference: str) -> None:
    message = refused({"$defs": {}, "$ref": reference}).message
    assert reference.lstrip("#") in message
    assert "registered schema" in message


def test_a_reference_may_name_an_anchor_an_embedded_resource_or_the_dialect() -> None:
    number: dict[str, object] = {"$anchor": "n", "type": "number"}
    inner: dict[str, object] = {"$id": "http://x.test/inner", "type": "number"}
    for name, below in (("#n", number), ("http://x.test/inner", inner)):
        schema = compiled({"$defs": {"a": below}, "$ref": name})
        assert schema.errors(1) is None
        assert schema.errors("1") is not None
    dialect = compiled({"$ref": "https://json-schema.org/draft/2020-12/schema"})
    assert dialect.errors({"type": "number"}) is None
    assert dialect.errors({"type": "nombre"}) is not None


MONEY = {"$id": "https://acme.test/money", "type": "integer", "minimum": 0}
REGISTERED = {MONEY["$id"]: MONEY}


def test_a_reference_may_lead_to_a_registered_schema() -> None:
    source = b'{"items": {"$ref": "https://acme.test/money"}}'
    schema = compile_schema(source, name="prices", registered=REGISTERED)  # pyright: ignore[reportArgumentType] -- all of it is JSON
    assert schema.errors([1, 2]) is None
    assert schema.errors([-1]) is not None


def test_a_registered_schema_counts_as_what_it_costs() -> None:
    wide = {"$id": "http://x.test/wide", "anyOf": [{"const": n} for n in range(300)]}
    source = json.dumps({"allOf": [{"$ref": "http://x.test/wide"}] * 40}).encode()
    with pytest.raises(SchemaError, match="expand"):
        compile_schema(source, name="x", registered={"http://x.test/wide": wide})


@pytest.mark.parametrize(
    ("document", "plain"),
    [
        ({"$id": "http://x.test/root", "properties": {"a": {"$id": "no"}}}, False),
        ({"$id": "http://x.test/root", "type": "object"}, True),
        ({"const": {"$id": "data"}, "enum": [{"$ref": "data"}]}, True),
        ({"properties": {"$id": {"type": "string"}}}, True),
    ],
)
def test_only_a_schema_whose_pointers_start_at_its_root_guides_a_repair(
    document: dict[str, object], *, plain: bool
) -> None:
    assert compiled(document).guide == (document if plain else True)


def test_no_connection_is_made_for_a_remote_reference() -> None:
    # The validator is native: a Python-level socket guard would not see it dial.
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        calls: list[object] = []

        def accept() -> None:
            try:
                calls.append(server.accept())
            except TimeoutError:
                return

        waiter = Thread(target=accept)
        waiter.start()
        refused({"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema"})
        waiter.join()
    assert calls == []


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (b"{", "strict JSON"),
        (b'{"type": "object", "type": "array"}', "twice"),
        (b'{"maximum": 1e999}', "double"),
        (b"\xff", "UTF-8"),
        (b'{"type": "strin"}', "anyOf"),
        (b'{"minLength": -1}', "minimum"),
        (b'{"pattern": "("}', "regex"),
        (b'{"pattern": "(?=a)b"}', "regex"),
        (b'{"pattern": "(a)\\\\1"}', "regex"),
        (b'"object"', "object"),
        (b'"{\\"$ref\\": \\"file:///etc/passwd\\"}"', "object"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'{"$schema": "http://json-schema.org/draft-07/schema#"}', "2020-12"),
        (b'{"$dynamicRef": "#a"}', "registered"),
        (b'{"items": {"$schema": "http://x.test/mine"}}', "2020-12"),
        (b" " * (MAX_BYTES + 1), str(MAX_BYTES)),
        (json.dumps({"enum": list(range(1001))}).encode(), "1000 values"),
        (b'{"not":' * 65 + b"true" + b"}" * 65, "deeper than 64"),
    ],
)
def test_a_schema_that_is_not_one_is_refused(source: bytes, hint: str) -> None:
    with pytest.raises(SchemaError, match=hint.replace("$", r"\$")):
        compile_schema(source, name="bad")


def test_references_that_fan_out_are_refused_before_they_run() -> None:
    chain: dict[str, object] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(24)
    }
    chain["d24"] = {"type": "integer"}
    assert "expand" in refused({"$defs": chain, "$ref": "#/$defs/d0"}).message


def test_a_bomb_hidden_under_a_property_called_defs_is_refused_too() -> None:
    chain: dict[str, object] = {
        f"d{n}": {"allOf": [{"$ref": f"#/properties/$defs/d{n + 1}"}] * 2}
        for n in range(24)
    }
    chain["d24"] = {"type": "integer"}
    bomb = {"properties": {"$defs": chain}, "$ref": "#/properties/$defs/d0"}
    assert "expand" in refused(bomb).message


def test_a_dynamic_reference_counts_as_all_that_it_may_lead_to() -> None:
    chain: dict[str, object] = {
        f"d{n}": {"$anchor": f"a{n}", "allOf": [{"$dynamicRef": f"#a{n + 1}"}] * 2}
        for n in range(24)
    }
    chain["d24"] = {"$dynamicAnchor": "a24", "type": "integer"}
    assert "expand" in refused({"$defs": chain, "$ref": "#a0"}).message


def test_a_backtracking_regex_runs_in_linear_time() -> None:
    # With a backtracking engine this takes longer than the universe has.
    schema = compiled({"pattern": "^(a+)+$"})
    assert schema.errors("a" * 10_000 + "b") is not None


def test_a_reference_to_itself_ends() -> None:
    assert compiled({"$ref": "#"}).errors({}) is None


def test_too_many_values_for_a_wide_schema_are_a_violation() -> None:
    schema = compiled({"items": {"enum": list(range(900))}})
    fault = schema.errors([1] * 10_000)
    assert fault is not None
    assert fault.code == "too_complex"


DOUBLED: dict[str, object] = {
    "properties": {"a": {"$ref": "#/$defs/t"}},
    "allOf": [{"properties": {"a": {"$ref": "#/$defs/t"}}}],
}


def nested(depth: int, value: object) -> object:
    for _ in range(depth):
        value = {"a": value}
    return value


def test_a_reason_that_doubles_with_each_level_is_not_looked_for() -> None:
    """The validator would collect 2 to the depth errors, holding the lock."""
    rooted = {"$defs": {"t": DOUBLED}, "allOf": [{"$ref": "#/$defs/t"}]}
    schema = compiled(rooted | {"required": ["z"]})
    fault = schema.errors(nested(16, 5))
    assert fault is not None
    assert (fault.path, fault.code) == ("", "schema")
    assert "too long" in fault.message
    shallow = schema.errors(nested(3, 5))
    assert shallow is not None
    assert '"z" is a required property' in shallow.message


def test_a_fault_in_an_ordinary_tree_is_found_where_it_is() -> None:
    tree = {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"op": {"const": "and"}, "a": {"$ref": "#"}},
                "required": ["op"],
            },
        ]
    }
    schema = compiled({"properties": {"tree": tree, "n": {"type": "integer"}}})
    value = {"tree": {"op": "and", "a": "x"}, "n": "1"}
    fault = schema.errors(value)
    assert fault is not None
    assert fault.path == "/n"


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"uniqueItems": True}, [(1 << 63) + n for n in range(3_000)]),
        ({"uniqueItems": True}, [10**300 + n for n in range(200)]),
        ({"items": {"enum": [{"k": n} for n in range(400)]}}, [{"k": 1}] * 5_000),
        ({"items": {"multipleOf": 0.1}}, [1e300] * 5_000),
        ({"items": {"enum": [0.1, 0.2, 0.3]}}, [1e-300] * 5_000),
        ({"allOf": [{"pattern": f"a{{0,1200}}{n}"} for n in range(9)]}, "a" * 999_999),
        ({"anyOf": [{"minLength": n} for n in range(99)]}, [0] * 40_000),
    ],
)
def test_what_would_hold_the_lock_for_long_is_refused(
    document: object, value: object
) -> None:
    fault = compiled(document).errors(value)
    assert fault is not None
    assert fault.code == "too_complex"


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"uniqueItems": True}, list(range(20_000))),
        ({"uniqueItems": True}, [(1 << 63) + n for n in range(100)]),
        ({"items": {"enum": [f"w{n}" for n in range(900)]}}, ["w899"] * 2_000),
        ({"items": {"multipleOf": 0.01}}, [12.5] * 2_000),
        ({"items": {"pattern": r"^[a-z]+-\d{4}$"}}, ["order-1234"] * 20_000),
        ({"items": {"properties": {"n": {"minimum": 0}}}}, [{"n": 1}] * 20_000),
    ],
)
def test_a_large_sensible_value_is_checked(document: object, value: object) -> None:
    assert compiled(document).errors(value) is None


def test_a_schema_under_which_hardly_any_value_can_be_checked_is_refused() -> None:
    schema: dict[str, object] = {"properties": {"a": True}}
    for _ in range(20):
        schema = {"allOf": [schema], "unevaluatedProperties": {"type": "null"}}
    error = refused(schema)
    assert "unevaluated" in error.message
