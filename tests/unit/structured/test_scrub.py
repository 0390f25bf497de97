"""Scrubbing: what is found, what is left alone, and what it promises for any text."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from structured.errors import ScrubError
from structured.scrub import Scrubber


def scrubbed(text: str, *protected: str) -> str:
    return Scrubber(protected).text(text)


FOUND: Final = {
    "john.doe+x@mail.example.co.uk": "EMAIL",
    "müller@büro.example": "EMAIL",
    "4111 1111 1111 1111": "CARD",
    "4111-1111-1111-1111": "CARD",
    "5555555555554444": "CARD",
    "3782 822463 10005": "CARD",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "GB82WEST12345698765432": "IBAN",
    "at61 1904 3002 3457 3201": "IBAN",
    "+49 (30) 123-4567": "PHONE",
    "+14155552671": "PHONE",
    "(415) 555-2671": "PHONE",
    "415.555.2671": "PHONE",
    "030/1234567": "PHONE",
    "01 42 68 53 00": "PHONE",
    "0049 30 1234567": "PHONE",
    "192.168.17.4": "IP",
    "2001:db8::8a2e:370:7334": "IP",
    "wg-" + "aB3_-" * 8 + "xyz": "KEY",
    "sk-proj-abcdefghij1234567890": "KEY",
    "AKIAIOSFODNN7EXAMPLE": "KEY",
    "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4": "KEY",
}


@pytest.mark.parametrize(("secret", "kind"), FOUND.items())
@pytest.mark.parametrize("around", ["{}", "It is {}.", "({})", "a, {}, b", "<b>{}</b>"])
def test_what_identifies_somebody_becomes_a_placeholder(
    secret: str, kind: str, around: str
) -> None:
    assert scrubbed(around.format(secret)) == around.format(f"<{kind}_1>")


def test_a_bearer_token_goes_and_the_word_stays() -> None:
    assert scrubbed("Authorization: Bearer abc123DEF456ghi7") == (
        "Authorization: Bearer <KEY_1>"
    )


def test_a_bare_number_is_a_phone_only_where_a_word_says_so() -> None:
    assert scrubbed("phone: 5552671234") == "phone: <PHONE_1>"
    assert scrubbed("mobile number is 5552671") == "mobile number is <PHONE_1>"


@pytest.mark.parametrize(
    "text",
    [
        "Order 4711-0815-42 was sent on 01.02.2024 10:30.",
        "order 0171-1234567, ticket no. 030 1234567",
        "invoice number 415-555-2671",
        "4111 1111 1111 1112",
        "a card that nobody issued: 1000000000000008",
        "DE89370400440532013001",
        "version 10.4.2.1 and v1.2.3.4 and 1.2.3.4.5",
        "at 10:30:45, std::vector, a::b, 127.0.0.1, ::1",
        "300.1.1.1",
        "0.4111111111111111",
        "1,700,000,000,000 and 1700000000000",
        "550e8400-e29b-41d4-a716-446655440000",
        "70315030-0810-4786-a854-811518824776",
        "10 x 20 x 30, 1024 - 2048",
        "the bearer of this letter; Bearer authentication-required",
        "user@localhost, @john, a@b",
        "[S1] kb-000123, SKU 0815-4711",
        "Ann Lee, 12 High Street",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert scrubbed(text) == text


def test_equal_values_keep_equal_and_different_ones_different() -> None:
    text = "a@b.co, c@d.co, A@B.co; 4111 1111 1111 1111 = 4111111111111111"
    assert scrubbed(text) == "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>; <CARD_1> = <CARD_1>"


def test_equal_values_keep_equal_across_the_texts_of_a_record() -> None:
    scrubber = Scrubber()
    assert scrubber.text("c@d.co") == "<EMAIL_1>"
    assert scrubber.value({"to": ["a@b.co", "c@d.co"]}) == {
        "to": ["<EMAIL_2>", "<EMAIL_1>"]
    }
    assert scrubber.found == {"EMAIL": 2}


def test_a_placeholder_that_is_there_already_is_not_given_again() -> None:
    assert scrubbed("<EMAIL_1> and a@b.co") == "<EMAIL_1> and <EMAIL_2>"


def test_ids_of_the_context_stay_wherever_they_stand() -> None:
    card, mail = "kb-4111111111111111", "john@x.com"
    text = f"[{card}] see {mail}, not 4111111111111111 or eve@x.com"
    assert scrubbed(text, card, mail) == (
        f"[{card}] see {mail}, not <CARD_1> or <EMAIL_1>"
    )


def test_a_card_that_is_a_number_becomes_a_string() -> None:
    value = {"card": 4111111111111111, "n": 17, "ok": True, "x": None, "f": 1.5}
    assert Scrubber().value(value) == value | {"card": "<CARD_1>"}


def test_two_keys_that_would_become_one_are_not_kept() -> None:
    with pytest.raises(ScrubError, match="two keys"):
        Scrubber().value({"a@b.co": 1, "A@b.co": 2})


def test_an_escape_is_no_letter_of_the_address_behind_it() -> None:
    raw = r'{"answer" : "Write to\njohn@x.com", "n": 4111111111111111}'
    assert Scrubber().json_text(raw) == (
        r'{"answer" : "Write to\n<EMAIL_1>", "n": "<CARD_1>"}'
    )


def test_an_address_in_escapes_is_found() -> None:
    assert Scrubber().json_text(r'["john\u0040x.com"]') == '["<EMAIL_1>"]'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "Sure!\n```json\n{'to': 'hi\\njohn@x.com'",
            "Sure!\n```json\n{'to': 'hi\\n<EMAIL_1>'",
        ),
        ('{"to": "john@x.com', '{"to": "<EMAIL_1>'),
        ('{\\"to\\": \\"john@x.com\\"}', '{\\"to\\": \\"<EMAIL_1>\\"}'),
        ("mail john@x.com", "mail <EMAIL_1>"),
    ],
)
def test_what_is_not_json_is_scrubbed_and_stays_broken_where_it_was(
    raw: str, expected: str
) -> None:
    assert Scrubber().json_text(raw) == expected


PIECES = st.one_of(
    st.sampled_from([*FOUND, "order ", "tel: ", "Bearer ", "<EMAIL_1>", "S1"]),
    st.text("0123456789 +-./()@:a", max_size=8),
    st.text(max_size=4),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | st.integers(0, 10**17) | st.floats(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(TEXTS)
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    once = scrubbed(text)
    assert scrubbed(once) == once


@given(st.text(alphabet=st.characters(exclude_characters="0123456789@"), max_size=99))
def test_a_text_without_a_digit_and_without_an_at_is_left_alone(text: str) -> None:
    assert scrubbed(text) == text


@given(TEXTS)
def test_nothing_but_what_is_found_changes(text: str) -> None:
    """Each stretch between two placeholders stands in the original, in order."""
    scrubber = Scrubber()
    after = scrubber.text(text)
    at = 0
    after = re.sub(r"<(KEY|EMAIL|IBAN|CARD|IP|PHONE)_\d>", "\0", after)
    for stretch in after.split("\0"):
        at = text.index(stretch, at) + len(stretch)


@given(st.lists(TEXTS.filter(bool), unique=True, max_size=4), TEXTS)
def test_a_protected_id_is_never_changed(ids: list[str], text: str) -> None:
    scrubber = Scrubber(ids)
    scrubber.text(text)
    assert scrubber.value(ids) == ids


@given(VALUES)
def test_scrubbing_json_text_is_scrubbing_its_value(value: Any) -> None:
    raw = msgspec.json.encode(value).decode()
    after = Scrubber().json_text(raw)
    assert msgspec.json.decode(after) == Scrubber().value(value)


def somebodys(text: str) -> bool:
    """What the standard library says of a text that looks like an address."""
    try:
        address = IPv6Address(text) if ":" in text else IPv4Address(text)
    except AddressValueError:
        return False
    short = len([each for each in text.split(":") if each]) < 3
    wordy = ":" in text and (short or not re.search(r"\d", text))
    return not (address.is_loopback or address.is_unspecified or wordy)


OCTETS = st.sampled_from(
    ["0", "1", "00", "01", "9", "127", "255", "256", "999"]
) | st.integers(0, 256).map(str)
GROUPS = st.sampled_from(["", "0", "1", "a", "fe80", "0001", "ffff"])


@given(
    st.lists(OCTETS, min_size=4, max_size=4).map(".".join)
    | st.lists(GROUPS, min_size=3, max_size=8).map(":".join)
)
@example("127.0.0.5")
@example("0.0.0.1")
@example("0:0:0:0:0:0:0:1")
@example("0:0:0:0:0:0:0:2")
def test_an_address_is_what_the_standard_library_says(text: str) -> None:
    found = scrubbed(f"from {text} on") == "from <IP_1> on"
    if not text.startswith(":") and not text.endswith(":"):
        assert found == somebodys(text)


def test_a_colon_behind_an_address_is_not_of_it() -> None:
    assert scrubbed("2001:db8::1: timed out") == "<IP_1>: timed out"
    assert scrubbed("2001:db8:0:1:: is ours") == "<IP_1> is ours"


@given(st.text('"\\{}:,a1@.co \n', max_size=60))
def test_any_text_is_taken_as_what_a_model_said(raw: str) -> None:
    if "@" not in raw:
        assert Scrubber().json_text(raw) == raw
    assert "a@a.co" not in Scrubber().json_text(raw + " a@a.co")
