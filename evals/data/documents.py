"""Task `documents`: passages of real documentation, with extractive answers."""

from evals.data.draw import Draw
from evals.data.words import Documents, Passage
from evals.samples import Expected, Provenance, Sample
from evals.scorers.succeed import holds
from structured.prompt import AssistInput


def document(draw: Draw, words: Documents, number: int) -> Sample:
    """One passage's question; beside it up to three others, none of which answers."""
    passage = words.passage[number]
    others = [each.text for each in words.passage if not _answers(each, passage)]
    beside = draw.rng.sample(others, draw.rng.choice((1, 2, 3)))
    context, ids = draw.context([passage.text], beside)
    return Sample(
        f"documents-{number:04d}",
        "extract",
        AssistInput(passage.ask, context),
        Expected("ok", f"{passage.accepted[0]}.", ids),
        task="documents",
        document=f"documents-{number:04d}",
        accepted=passage.accepted,
        provenance=Provenance(
            f"{words.package}: {passage.at}",
            words.licence,
            passage.ask,
            passage.at,
            words.written,
        ),
    )


def _answers(other: Passage, asked: Passage) -> bool:
    return any(holds(other.text, value) for value in asked.accepted)
