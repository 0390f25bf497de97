"""Scorers: one verb a file. Each takes a sample and an answer, and gives a number.

None means that the sample does not count for this scorer, which is not the same as
a nought: an output that failed is wrong, and stays in the denominator.
"""

from evals.scorers.adhere import adhere, lose_to_length, lose_to_schema, reask, repair
from evals.scorers.cite import cite
from evals.scorers.decide import decide
from evals.scorers.refuse import answer_lookalike, refuse, refuse_rightly
from evals.scorers.spend import spend
from evals.scorers.wait import wait

__all__ = [
    "adhere",
    "answer_lookalike",
    "cite",
    "decide",
    "lose_to_length",
    "lose_to_schema",
    "reask",
    "refuse",
    "refuse_rightly",
    "repair",
    "spend",
    "wait",
]
