import pytest
from hypothesis import given, strategies as st

from adapters.errors import RefError
from adapters.refs import AdapterRef, BaseRef
from tests.unit.adapters import making


def test_an_adapter_ref_has_a_name_and_a_version() -> None:
    ref = AdapterRef.parse("acme-behav-lora@v12")
    assert (ref.name, ref.version, str(ref)) == (
        "acme-behav-lora",
        12,
        "acme-behav-lora@v12",
    )


def test_a_base_ref_has_a_name_and_two_numbers() -> None:
    ref = BaseRef.parse("smollm2-135m-instruct@1.0")
    assert (ref.name, ref.version) == ("smollm2-135m-instruct", (1, 0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme",
        "acme@",
        "acme@v",
        "acme@v0",
        "acme@v01",
        "acme@v-1",
        "acme@1.0",
        "acme@v1\n",
        "acme@v1 ",
        "Acme@v1",
        "@v1",
        ".@v1",
        "..@v1",
        "a..b@v1",
        "-a@v1",
        "a-@v1",
        "../acme@v1",
        "/acme@v1",
        "acme/x@v1",
        "acme\\x@v1",
        "acme\x00@v1",
        "acme@v1@v2",
        "acme@v\u0661",
        "\u0430cme@v1",
        "text@v1",
        "image@v1",
        "audio@v1",
        "a" * 100 + "@v1",
        "acme@v1000000",
    ],
)
def test_what_is_no_adapter_ref_is_refused(text: str) -> None:
    with pytest.raises(RefError, match="expected"):
        AdapterRef.parse(text)


@pytest.mark.parametrize(
    "text", ["m@v1", "m@1", "m@1.0.0", "m@01.0", "text@1.0", "../m@1.0"]
)
def test_what_is_no_base_ref_is_refused(text: str) -> None:
    with pytest.raises(RefError, match="expected"):
        BaseRef.parse(text)


@making.PATIENT
@given(st.text(alphabet="ab.-_/@v01\\\x00A ", max_size=20))
def test_whatever_is_accepted_is_a_plain_file_name_and_survives(text: str) -> None:
    try:
        ref = AdapterRef.parse(text)
    except RefError:
        return
    assert ref == text
    assert f"{ref.name}@v{ref.version}" == text
    assert not set(text) & set("/\\\x00 ")
    assert ".." not in text
    assert text == text.lower()
