import base64
import hashlib
import itertools
import re

import msgspec
import pytest

from evals.reports.html import page
from tests.unit.evals.reports.reading import Page
from tests.unit.evals.suite_results import HOSTILE, example, without_verdicts

SMALL = page(example())
HARD = page(example(hostile=HOSTILE))
LARGE = page(example(2000, easy=False))
ALONE = page(without_verdicts(example(16)))
EVERY = pytest.mark.parametrize("html", [SMALL, HARD, LARGE, ALONE])

LARGEST = 5_000_000


@EVERY
def test_elements_are_nested_as_they_should_be(html: str) -> None:
    assert Page(html).problems == []


@EVERY
def test_every_link_leads_to_a_place_on_the_page_and_ids_are_unique(html: str) -> None:
    read = Page(html)
    ids = read.ids
    assert len(ids) == len(set(ids))
    targets = {each["href"] for each in read.all("a")}
    assert targets <= {f"#{name}" for name in ids}


@EVERY
def test_nothing_is_loaded_or_run(html: str) -> None:
    read = Page(html)
    for name, attributes in read.elements:
        assert name not in ("script", "link", "img", "iframe", "object", "base", "form")
        assert not {"src", "style", "srcset", "action"} & set(attributes)
        assert not [key for key in attributes if key.startswith("on")]
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"url\(|@import|https?:", style)


def test_a_hostile_text_is_shown_as_it_is_and_marks_nothing_up() -> None:
    read = Page(HARD)
    assert "<script>alert(1)</script>]]><img src=x onerror=alert(1)> &amp;" in read.text
    assert "⟨U+202E⟩evil⟨U+202C⟩ ⟨U+0000⟩⟨U+001B⟩[31m" in read.text
    assert not set("\u202e\u202c\x00\x1b") & set(HARD)
    small = [name for name, _ in Page(SMALL).elements]
    assert {name for name, _ in read.elements} == set(small)


def test_the_policy_allows_this_style_sheet_and_nothing_else() -> None:
    style = SMALL.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policies = [e["content"] for e in Page(SMALL).all("meta") if "http-equiv" in e]
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
    ]


def test_a_run_of_two_thousand_samples_stays_small() -> None:
    assert len(LARGE.encode()) < LARGEST
    assert "500 samples that something above names." in Page(LARGE).text
    assert "The other 1500 are in the JSON." in Page(LARGE).text
    assert re.search(r"and \d+ more, in the JSON", Page(LARGE).text)


def test_long_texts_are_clipped_to_keep_it_so() -> None:
    long = page(example(800, hostile=" word" * 2000))
    assert len(long.encode()) < LARGEST
    assert "characters)" in long


@EVERY
def test_headings_go_down_one_level_at_a_time_from_one_title(html: str) -> None:
    levels = [level for level, _ in Page(html).headings]
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


@EVERY
def test_tables_have_captions_and_scopes_and_pictures_have_words(html: str) -> None:
    read = Page(html)
    names = [name for name, _ in read.elements]
    assert names.count("caption") == names.count("table") > 0
    assert all("scope" in each for each in read.all("th"))
    ids = set(read.ids)
    for picture in read.all("svg"):
        assert picture["role"] == "img"
        assert set(picture["aria-labelledby"].split()) <= ids
    assert names.count("desc") == names.count("svg")


def test_a_region_that_scrolls_can_be_reached_by_keyboard() -> None:
    regions = [each for each in Page(SMALL).all("div") if each.get("class") == "scroll"]
    assert regions
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in regions)


def test_the_title_says_the_verdicts_in_words() -> None:
    said = dict(Page(SMALL).headings)[1]
    assert said == "Verdict: lora fails, lora_pref is inconclusive"


def test_how_it_was_made_is_all_there() -> None:
    result, text = example(), Page(SMALL).text
    origin = result.origin
    for fact in (
        *(origin.command, origin.date, origin.engine, origin.machine),
        *(result.samples_digest, result.gates_digest, result.run),
        *("temperature 0", "at most 96 tokens", "342 s"),
        result.notes[0],
    ):
        assert fact in text


def test_a_figure_links_to_the_samples_and_these_to_their_entries() -> None:
    found = re.search(r'<a href="#(l-\d+)">75 % \[51\.56, 90\.98\]</a>', SMALL)
    assert found
    listing = SMALL.partition(f'id="{found[1]}"')[2].partition("</section>")[0]
    assert 'href="#s-1">documents-0001</a>' in listing
    entry = SMALL.partition('id="s-1"')[2].partition("</article>")[0]
    assert "How long is the guarantee of the Aster lamp?" in entry
    assert "I believe that the Aster lamp perhaps" in entry
    assert "The Aster lamp has a guarantee of 7 months." in entry
    assert "lora: citation" in entry


def test_a_cell_with_few_documents_is_marked_and_one_with_many_is_not() -> None:
    row = SMALL.partition('<th scope="row">en</th>')[2].partition("</tr>")[0]
    assert "few" not in row
    row = SMALL.partition('<th scope="row">hu</th>')[2].partition("</tr>")[0]
    assert row.count(" few") == 8


def test_differing_words_are_marked_on_both_sides() -> None:
    row = SMALL.partition("lora beside lora_pref")[2].partition("</tr>")[2]
    row = row.partition("</tr>")[0]
    assert row.count("<mark>") >= 2
    assert "<mark>45</mark>" in row
    assert "<mark>39</mark>" in row


def test_a_run_without_verdicts_says_so() -> None:
    text = Page(ALONE).text
    assert "Verdict: nothing was judged" in text
    assert "Nothing was judged: there was no adapter" in text
    assert "No sample has failed a gate." in text
    assert "One generator was asked" in text


def test_a_run_without_a_measure_of_success_says_so() -> None:
    result = example(16)
    arms = tuple(
        msgspec.structs.replace(
            arm, scores={k: v for k, v in arm.scores.items() if k != "success"}
        )
        for arm in result.arms
    )
    bare = msgspec.structs.replace(result, arms=arms, baseline=None)
    assert "no measure of success" in Page(page(bare)).text


def test_a_budget_that_ended_the_run_leaves_samples_unasked() -> None:
    result = example(32)
    arm = result.arms[2]
    cut = msgspec.structs.replace(arm, answers=dict(list(arm.answers.items())[:4]))
    html = page(msgspec.structs.replace(result, arms=(*result.arms[:2], cut)))
    assert "not asked" in Page(html).text


def test_the_same_result_makes_the_same_page() -> None:
    assert page(example()) == SMALL
