import json

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from routing.errors import FlagError
from routing.flags import (
    FlagDocument,
    decode,
    encode,
    with_kill,
    with_override,
    without_kill,
)
from routing.rules import Kill, RolloutRule, SurfaceRule, Target
from tests.unit.routing.making import DOCUMENTS


@settings(deadline=None)
@given(DOCUMENTS)
def test_a_document_comes_back_from_its_json(document: FlagDocument) -> None:
    assert decode(encode(document)) == document


def test_equal_documents_have_equal_bytes() -> None:
    one = FlagDocument(overrides={"a": "lora", "b": "base"})
    two = FlagDocument(overrides={"b": "base", "a": "lora"})
    assert encode(one) == encode(two)


def test_the_json_is_the_one_that_is_documented() -> None:
    document = FlagDocument(
        lora=500,
        surfaces={"email": SurfaceRule(variant="base")},
        kills=(Kill("global"),),
        rollouts=(
            RolloutRule("ro-1", Target("lora", "a@v1"), tenants=frozenset({"acme"})),
        ),
    )
    assert json.loads(encode(document)) == {
        "default": "base",
        "lora": 500,
        "lora_pref": 0,
        "salt": "r1",
        "overrides": {},
        "surfaces": {"email": {"variant": "base"}},
        "kills": [{"scope": "global", "name": ""}],
        "rollouts": [
            {
                "id": "ro-1",
                "candidate": {"generator": "lora", "model": "a@v1"},
                "tenants": ["acme"],
            }
        ],
        "hash": "flagd-v3",
    }


@pytest.mark.parametrize(
    ("data", "path", "advice"),
    [
        ('{"default": "lora9"}', "default", "use base, lora, lora_pref"),
        ('{"lora": -1}', "lora", "0 to 10000 basis points"),
        ('{"lora_pref": 10001}', "lora_pref", "0 to 10000 basis points"),
        ('{"lora": 9000, "lora_pref": 1001}', "lora", "at most 10000"),
        ('{"lora": 5.5}', "lora", "Expected `int`"),
        ('{"lora": true}', "lora", "Expected `int`"),
        ('{"salt": ""}', "salt", "at least one character"),
        ('{"salt": "r/1"}', "salt", "without it"),
        ('{"overrides": {"acme": "base", "x": "l"}}', "overrides.x", "use base"),
        ('{"overrides": {"a/b": "base"}}', "overrides.a/b", "without it"),
        ('{"overrides": []}', "overrides", "Expected `object`"),
        ('{"surfaces": {"email": {}}}', "surfaces.email", "says nothing"),
        ('{"surfaces": {"e": {"lora": "1"}}}', "surfaces.e.lora", "Expected `int"),
        ('{"surfaces": {"e": {"variant": "x"}}}', "surfaces.e.variant", "use base"),
        ('{"surfaces": {"e": {"lora": -1}}}', "surfaces.e.lora", "0 to 10000"),
        (
            '{"surfaces": {"e": {"lora": 1, "variant": "base"}}}',
            "surfaces.e",
            "one or the other",
        ),
        (
            '{"lora_pref": 600, "surfaces": {"e": {"lora": 9500}}}',
            "surfaces.e",
            "at most 10000",
        ),
        ('{"surfaces": {"": {"lora": 1}}}', "surfaces.", "at least one character"),
        ('{"kills": [{"scope": "all"}]}', "kills[0].scope", "use global, tenant"),
        ('{"kills": [{"scope": "tenant"}]}', "kills[0].name", "at least one"),
        (
            '{"kills": [{"scope": "global", "name": "acme"}]}',
            "kills[0].name",
            "use the scope tenant",
        ),
        (
            '{"kills": [{"scope": "variant", "name": "base"}]}',
            "kills[0].name",
            "lora and lora_pref can be killed",
        ),
        ('{"kills": [{"scope":"global"},{"scope":"global"}]}', "kills[1]", "once"),
        ('{"hash": "flagd-v2"}', "hash", "use flagd-v3"),
        ('{"weight": 5}', "", "unknown field `weight`"),
        ("[]", "", "Expected `object`"),
        ("", "", "not JSON"),
        ('{"lora": NaN}', "", "not JSON"),
        ('{"salt": "\\ud800"}', "", "not JSON"),
    ],
)
def test_a_document_that_cannot_be_true_is_refused_with_its_path_and_advice(
    data: str, path: str, advice: str
) -> None:
    with pytest.raises(FlagError) as caught:
        decode(data.encode())
    assert caught.value.path == path
    assert advice in caught.value.message


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_flag_error(data: bytes) -> None:
    try:
        document = decode(data)
    except FlagError:
        return
    assert isinstance(document, FlagDocument)


def test_no_change_of_a_valid_document_makes_an_invalid_one() -> None:
    with pytest.raises(FlagError):
        msgspec.structs.replace(FlagDocument(), lora=10_001)


def test_a_kill_can_be_set_twice_and_lifted_twice() -> None:
    kill = Kill("tenant", "acme")
    killed = with_kill(FlagDocument(), kill)
    assert with_kill(killed, kill) == killed
    assert without_kill(killed, kill) == FlagDocument()
    assert without_kill(FlagDocument(), kill) == FlagDocument()


def test_an_override_is_set_replaced_and_taken_away() -> None:
    pinned = with_override(FlagDocument(), "acme", "lora")
    assert with_override(pinned, "acme", "base").overrides == {"acme": "base"}
    assert with_override(pinned, "acme", None) == FlagDocument()
    with pytest.raises(FlagError, match="without it"):
        with_override(FlagDocument(), "a/b", "lora")
