from html import unescape

import pytest
from hypothesis import given, settings, strategies as st

from evals.reports.tags import Html, clip, escape, join, line, prose, tag, visible


def test_a_child_that_is_a_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>", tag("b", "&")) == "<p>&lt;b&gt;<b>&amp;</b></p>"


def test_an_attribute_cannot_be_left() -> None:
    assert tag("a", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;"></a>'


def test_names_of_attributes_are_as_in_html() -> None:
    made = tag("meta", http_equiv="x", class_="y", lang=None)
    assert made == '<meta http-equiv="x" class="y">'


@pytest.mark.parametrize(
    ("hidden", "code"),
    [
        ("\u202e", "U+202E"),
        ("\u2066", "U+2066"),
        ("\u200b", "U+200B"),
        ("\x00", "U+0000"),
        ("\x1b", "U+001B"),
        ("\r", "U+000D"),
        ("\u2028", "U+2028"),
        ("\U000e0041", "U+E0041"),
        ("\ud800", "U+D800"),
        ("\ufeff", "U+FEFF"),
    ],
)
def test_a_character_that_hides_is_shown_by_its_code(hidden: str, code: str) -> None:
    assert visible(f"a{hidden}b") == f"a⟨{code}⟩b"


@pytest.mark.parametrize(
    "text",
    [
        "ضمان",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "👩\u200d🔧",
        "a\n\tb",
        "é…",
    ],
)
def test_what_people_write_is_left_alone(text: str) -> None:
    assert visible(text) == text


@settings(deadline=None)
@given(st.text())
def test_no_text_gets_out_of_its_element(text: str) -> None:
    made = escape(text)
    assert not set("<>\"'") & set(made)
    assert unescape(made) == visible(text)


@settings(deadline=None)
@given(st.text())
def test_what_is_shown_can_be_written_as_utf_8_and_is_shown_once(text: str) -> None:
    assert visible(text).encode().decode() == visible(text)
    assert visible(visible(text)) == visible(text)


def test_adding_to_markup_makes_a_text_again_which_is_escaped() -> None:
    assert escape(Html("<b>") + "x") == "&lt;b&gt;x"


def test_parts_are_joined_by_an_escaped_separator() -> None:
    assert join((Html("<b></b>"), "&"), "<") == "<b></b>&lt;&amp;"


def test_a_long_text_says_how_much_of_it_is_missing() -> None:
    assert clip("abcdef", 4) == "abcd… (and 2 characters)"
    assert clip("abcd", 4) == "abcd"


def test_prose_marks_code_and_escapes_the_rest() -> None:
    assert prose("a `b<` c") == "a <code>b&lt;</code> c"


def test_a_line_of_markdown_has_no_markup_of_its_own() -> None:
    assert line("a|b\n<i>\u202e") == "a/b &lt;i>⟨U+202E⟩"
