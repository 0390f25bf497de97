"""Golden values: when two looks are at the same weights."""

import pytest

from adapters.errors import ManifestError
from adapters.golden import AGREEMENT, Golden, Said, Token, disagreement
from adapters.manifest import decode, encode
from tests.unit.adapters.making import run, write_adapter

THE = Said("The", -1.5, (Token("The", -1.5), Token("A", -1.6)))
A = Said("A", -1.55, (Token("A", -1.55), Token("The", -1.58)))
SURE = Said('{"', -0.18, (Token('{"', -0.18), Token("The", -2.6), Token("[", -4.7)))
SURER = Said('{"', -0.04, (Token('{"', -0.04), Token("The", -4.0), Token("C", -6.2)))
BRACE = Said('{"', -0.2, (Token('{"', -0.2), Token("The", -4.0)))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (THE, THE, True),
        (THE, A, True),  # the two likeliest have changed places
        (THE, BRACE, False),
        (SURE, SURE, True),
        (SURE, SURER, False),  # two adapters that were trained on the same form
        (THE, Said("The", -1.5 - AGREEMENT / 2), True),
        (THE, Said("The", -1.5 - AGREEMENT * 2), False),
        (THE, Said("Zebra", -1.5), False),
    ],
)
def test_the_same_weights_say_nearly_the_same(
    one: Said,
    other: Said,
    same: bool,  # noqa: FBT001 -- an expected value
) -> None:
    assert one.agrees(other) is same


def test_a_disagreement_names_probe_model_and_both_tokens() -> None:
    first = {"a": Golden(THE, BRACE), "b": Golden(THE, BRACE)}
    assert disagreement(first, first) == ""
    assert disagreement(first, {"c": Golden(BRACE, THE)}) == ""
    said = disagreement(first, {"b": Golden(THE, THE)})
    assert said == (
        "on probe 2 the adapter says 'The' at -1.50, and said '{\"' at -0.20"
    )
    assert disagreement(first, {"a": Golden(BRACE, BRACE)}).startswith(
        "on probe 1 the base"
    )


def test_a_manifest_keeps_one_look_for_each_probe(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    golden = (Golden(THE, BRACE),)
    made = write_adapter(tmp_path_factory.mktemp("one"), facts=run(golden=golden))
    assert decode(encode(made)).golden == golden
    with pytest.raises(ManifestError, match="one look for each"):
        write_adapter(tmp_path_factory.mktemp("two"), facts=run(golden=golden * 2))
