"""Cite: does a grounded answer name exactly its sources?

Precision and recall over ids are those of ALCE (Gao et al., "Enabling Large Language
Models to Generate Text with Citations", EMNLP 2023), with the passages that answer as
the truth instead of a model's judgement of entailment.
"""

from evals.answers import Answer
from evals.samples import Sample
from evals.scorers.succeed import holds


def cite(sample: Sample, answer: Answer) -> float | None:
    """1 when the cited ids are the expected ones as a set; grounded samples only.

    A citation too few counts as wrong just as one too many, and an answer that was
    not delivered cites nothing.
    """
    if not sample.expected.citations:
        return None
    return float(set(answer.citations) == set(sample.expected.citations))


def cite_precisely(sample: Sample, answer: Answer) -> float | None:
    """The share of the cited ids that are expected; without citations 0."""
    if not sample.expected.citations:
        return None
    cited = set(answer.citations)
    return len(cited & set(sample.expected.citations)) / len(cited) if cited else 0.0


def cite_all(sample: Sample, answer: Answer) -> float | None:
    """The share of the expected ids that are cited (recall)."""
    if not sample.expected.citations:
        return None
    expected = set(sample.expected.citations)
    return len(set(answer.citations) & expected) / len(expected)


def cite_what_says_so(sample: Sample, answer: Answer) -> float | None:
    """1 when the value that the answer gives stands in a passage that it cites.

    Of answers with an accepted value that stands in a passage: a wrong value has no
    right source, and a label none at all.
    """
    passages = {item.id: item.text for item in sample.input.context}
    given = [
        value
        for value in sample.accepted
        if holds(answer.text or "", value)
        and any(holds(text, value) for text in passages.values())
    ]
    if not given or not sample.expected.citations:
        return None
    cited = [text for id_, text in passages.items() if id_ in answer.citations]
    return float(any(holds(text, value) for text in cited for value in given))
