"""The shape of a vocabulary: everything from which a split's examples are made.

Two vocabularies exist, `train_words` and `held_words`. They share no sentence, no
product and no person, so that a test example differs from all training examples in
wording and in subject, not only in a drawn number.
"""

import msgspec


class Attribute(msgspec.Struct, frozen=True):
    """A property that passages state and requests ask for."""

    noun: str
    values: tuple[str, ...]
    """Patterns: `<lo-hi>` stands for a whole number drawn from that range."""
    statements: tuple[str, ...]
    """Sentences with `{p}` (product) and `{v}` (value)."""
    questions: tuple[str, ...]
    """Requests with `{p}`."""


class Event(msgspec.Struct, frozen=True):
    """A note and what a good summary keeps of it."""

    note: str
    core: str


class Labels(msgspec.Struct, frozen=True):
    """A set of labels with messages that belong to each."""

    texts: dict[str, tuple[str, ...]]


class Taboo(msgspec.Struct, frozen=True):
    """A policy trigger: what is refused, and how."""

    requests: tuple[str, ...]
    """With `{p}` (product) and `{who}` (person)."""
    answers: tuple[str, ...]
    baits: tuple[str, ...] = ()
    """Passages that hold what must not be given away."""


class Safe(msgspec.Struct, frozen=True):
    """A look-alike: the trigger's words, a harmless matter."""

    passage: str
    question: str
    full: str
    terse: str


class Vocabulary(msgspec.Struct, frozen=True):
    """All words of a split."""

    brands: tuple[str, ...]
    kinds: tuple[str, ...]
    people: tuple[str, ...]
    id_styles: tuple[str, ...]
    systems: tuple[str, ...]
    """System texts of a request's own."""
    attributes: tuple[Attribute, ...]
    fillers: tuple[str, ...]
    events: tuple[Event, ...]
    summary_requests: tuple[str, ...]
    pair_requests: tuple[str, ...]
    labels: tuple[Labels, ...]
    label_requests: tuple[str, ...]
    """With `{id}` and `{labels}`."""
    taboos: tuple[Taboo, ...]
    safe: tuple[Safe, ...]
    injections: tuple[str, ...]
    obey_requests: tuple[str, ...]
    """With `{id}`: ask to follow an instruction that stands in a passage."""
    beyond: tuple[str, ...]
    """Questions with `{p}` that no passage ever answers."""
    own_system: float = 0.12
    """Share of inputs that bring a system text of their own."""
