"""Style: the house's voice, by rules that anybody can read in `style.toml`."""

import functools
import re
import tomllib
from pathlib import Path
from typing import Final

import msgspec

from evals.answers import Answer
from evals.samples import Sample

RULES: Final = Path(__file__).with_name("style.toml")
_SENTENCE: Final = re.compile(r"[^.!?]+[.!?]*")
_VOWELS: Final = re.compile(r"[aeiouy]+")


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rubric; words and phrases are compared without case."""

    forbidden: tuple[str, ...]
    """Phrases that no answer has."""
    hedges: tuple[str, ...]
    """Words that an answer with status `ok` does without: doubt has its own status."""
    first_person: tuple[str, ...]
    """Words that an answer with status `ok` does without: it speaks of the matter."""
    grade: float
    """The highest reading level, in school years."""
    graded_words: int
    """Shorter answers have no reading level."""


@functools.cache
def rules(path: Path = RULES) -> Rules:
    """Read the rubric, once."""
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Rules)


def keep_style(sample: Sample, answer: Answer) -> float | None:
    """1 when a delivered answer in English breaks no rule; others do not count."""
    if answer.text is None or sample.locale != "en":
        return None
    return float(not broken(answer.text, answer.status or "", rules()))


def be_brief(sample: Sample, answer: Answer) -> float | None:
    """How many words a delivered answer has."""
    return None if answer.text is None else float(len(answer.text.split()))


def broken(text: str, status: str, given: Rules) -> tuple[str, ...]:
    """Return which rules a text breaks, with what breaks them."""
    found = [f"forbidden: {each}" for each in given.forbidden if _has(text, each)]
    if status == "ok":
        found += [f"hedge: {each}" for each in given.hedges if _has(text, each)]
        found += [f"voice: {each}" for each in given.first_person if _has(text, each)]
    if (
        len(text.split()) >= given.graded_words
        and (grade := reading_grade(text)) > given.grade
    ):
        found.append(f"reading level: {grade:.1f}")
    if re.search(r"[*#`]{2,}|^\s*[-*#] |[\U0001F300-\U0001FAFF]", text, re.MULTILINE):
        found.append("markup")
    return tuple(found)


def reading_grade(text: str) -> float:
    """School years that a text asks for.

    Kincaid et al. 1975: 0.39 words a sentence + 11.8 syllables a word - 15.59; a
    syllable is a group of vowels, which is near enough for English.
    """
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?|\d+", text.casefold())
    if not words:
        return 0.0
    sentences = max(1, len([s for s in _SENTENCE.findall(text) if s.strip(" .!?")]))
    total = sum(max(1, len(_VOWELS.findall(word))) for word in words)
    return 0.39 * len(words) / sentences + 11.8 * total / len(words) - 15.59


def _has(text: str, phrase: str) -> bool:
    words = r"\s+".join(re.escape(word) for word in phrase.casefold().split())
    edge = r"(?!\w)" if phrase[-1].isalnum() else ""
    return bool(re.search(rf"(?<!\w){words}{edge}", text.casefold()))
