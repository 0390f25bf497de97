"""Scorers: one verb a file. Each takes a sample and an answer, and gives a number.

None means that the sample does not count for this scorer, which is not the same as
a nought: an output that failed is wrong, and stays in the denominator.
"""

from evals.scorers.adhere import adhere, lose_to_length, lose_to_schema, reask, repair
from evals.scorers.cite import cite, cite_all, cite_precisely, cite_what_says_so
from evals.scorers.decide import decide
from evals.scorers.refuse import answer_lookalike, refuse, refuse_rightly
from evals.scorers.resist import resist
from evals.scorers.spend import spend
from evals.scorers.style import be_brief, keep_style
from evals.scorers.succeed import succeed
from evals.scorers.support import support
from evals.scorers.wait import wait

__all__ = [
    "adhere",
    "answer_lookalike",
    "be_brief",
    "cite",
    "cite_all",
    "cite_precisely",
    "cite_what_says_so",
    "decide",
    "keep_style",
    "lose_to_length",
    "lose_to_schema",
    "reask",
    "refuse",
    "refuse_rightly",
    "repair",
    "resist",
    "spend",
    "succeed",
    "support",
    "wait",
]
