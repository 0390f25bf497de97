"""What a quick check counts in which share."""

from pathlib import Path

from structured.prompt import AssistInput, ContextItem
from structured.schema import compile_schema
from training.examples import Example, Output
from training.quickcheck import judge, summarise

SCHEMA = compile_schema(Path("schemas/assist.json").read_bytes(), name="assist")
GIVEN = AssistInput("What does it cost?", (ContextItem("S1", "It costs 40 euros."),))
VALUE = Example(
    "extract-1-value", "extract", "test", GIVEN, Output("ok", "40", ("S1",))
)
NOTHING = Example(
    "uncertain-1-without-value",
    "uncertain",
    "test",
    AssistInput("What does it cost?"),
    Output("uncertain", "The context does not say."),
)
FORBIDDEN = Example(
    "refuse-1-policy",
    "refuse",
    "test",
    AssistInput("Whose fault is it?"),
    Output("refused", "I can't say whose fault it is."),
)


def test_a_value_is_looked_for_only_where_there_is_one() -> None:
    asked = (VALUE, NOTHING, FORBIDDEN)
    said = [judge(e, e.output.text(), 9, SCHEMA, finished=True) for e in asked]
    seen = summarise(said, asked, "three").shares
    assert {name: share.n for name, share in seen.items()} == {
        "schema_adherence": 3,
        "status_right": 3,
        "citations_right": 3,
        "refused_when_due": 1,
        "value_right": 1,
    }
    assert {share.value for share in seen.values()} == {1.0}
