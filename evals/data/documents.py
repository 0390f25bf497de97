"""Documents: real texts as contexts, with answers that stand in them word for word."""

from evals.data.draw import Draw, clean
from evals.data.words import Documents, Passage, read
from evals.samples import Expected, Provenance, Sample
from structured.prompt import AssistInput


def documents(draw: Draw, count: int) -> tuple[Sample, ...]:
    """At most as many samples as there are passages, in the order of the file.

    One question a passage: a second one would be no second proof. No date is given:
    the texts are older than any training, and the base may well have read them.
    """
    passages = read(Documents).passages[:count]
    return tuple(
        _sample(draw, f"documents-{number:04d}", passage)
        for number, passage in enumerate(passages)
    )


def _sample(draw: Draw, name: str, passage: Passage) -> Sample:
    source, question = read(Documents), passage.question
    place = source.passages.index(passage)
    origin = Provenance(
        source=f"{source.package} {source.version}, {passage.file}",
        licence=source.licence,
        template=question.ask,
        entity="SQLite",
    )

    def make() -> Sample:
        pool = [each.text for each in source.passages if each is not passage]
        others = draw.rng.sample(pool, draw.pick((1, 2, 2, 3)))
        context, ids = draw.shuffled([passage.text], others)
        return Sample(
            id=name,
            intent="extract",
            input=AssistInput(question.ask, context),
            expected=Expected("ok", question.answer, ids),
            task="documents",
            document=f"{source.package}/{passage.file}#{place}",
            accepted=question.accepted,
            provenance=origin,
        )

    return draw.until(make, clean)
