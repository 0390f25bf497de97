from pathlib import Path

from structured.prompt import AssistInput, ContextItem
from structured.schema import compile_schema
from training.examples import Example, Output
from training.rank import Said, pair, pairs, rank

SCHEMA = compile_schema(Path("schemas/assist.json").read_bytes(), name="assist")
CONTEXT = (
    ContextItem("S1", "The Corvo pump costs 40 euros."),
    ContextItem("S2", "The Orlan pump costs 90 euros."),
)
ASKED = Example(
    "train-1-value",
    "extract",
    "train",
    AssistInput("What does the Corvo pump cost?", CONTEXT),
    Output("ok", "40 euros.", ("S1",)),
)
RIGHT = Said(Output("ok", "40 euros.", ("S1",)).text(), 20, finished=True)
LONG = Said(
    Output("ok", "The price of the Corvo pump is 40 euros.", ("S1",)).text(),
    30,
    finished=True,
)
MISCITED = Said(Output("ok", "40 euros.", ("S2",)).text(), 20, finished=True)
GUESSED = Said(Output("ok", "90 euros.", ("S2",)).text(), 20, finished=True)
UNSURE = Said(
    Output("uncertain", "The context does not say.").text(), 18, finished=True
)
CUT = Said(RIGHT.text[:-3], 18, finished=False)


def test_answers_rank_by_form_then_status_then_citation_then_value_then_length() -> (
    None
):
    worse_to_better = (CUT, UNSURE, GUESSED, MISCITED, LONG, RIGHT)
    ranks = [rank(ASKED, said, SCHEMA) for said in worse_to_better]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_the_best_own_answer_stands_against_the_worst() -> None:
    made = pair(ASKED, [RIGHT, GUESSED, MISCITED], SCHEMA)
    assert made is not None
    assert (made.chosen, made.rejected, made.fault) == (
        RIGHT.text,
        GUESSED.text,
        "miscited",
    )


def test_where_none_is_right_the_example_says_what_is() -> None:
    made = pair(ASKED, [UNSURE, CUT], SCHEMA)
    assert made is not None
    assert made.chosen == ASKED.output.text()
    assert made.fault == "malformed"


def test_of_two_right_answers_the_shorter_is_better_if_it_is_much_shorter() -> None:
    made = pair(ASKED, [LONG, RIGHT], SCHEMA)
    assert made is not None
    assert made.fault == "longer"
    little = Said(LONG.text, 22, finished=True)
    assert pair(ASKED, [little, RIGHT], SCHEMA) is None


def test_answers_that_are_all_as_good_make_no_pair() -> None:
    assert pairs([(ASKED, [RIGHT, RIGHT])], SCHEMA) == ()
