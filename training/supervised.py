"""The supervised task: the loss is on the answers' tokens alone."""

from pathlib import Path
from typing import Any

from msgspec import UNSET

from training import examples
from training.config import RunConfig
from training.data.generate import generate
from training.encode import Encoded, encode, pad
from training.errors import ConfigError, DataError
from training.examples import INTENTS, Example, Split
from training.objectives import sft_loss
from training.task import Task

TRAIN = "train.jsonl"


def task(config: RunConfig, tokenizer: Any, data_dir: Path | None) -> Task:
    """Encode a configuration's examples.

    Args:
        config: of method "sft".
        tokenizer: the base's.
        data_dir: what `python -m training curate` wrote, where the configuration names
            a curated set.

    Raises:
        ConfigError: a directory is missing, or not asked for.
        DataError: other data than the configuration's, an empty split, one intent
            only, or an example that is too long.
    """
    chosen, watched = split(config, data_dir)
    if len({example.intent for example in chosen}) < 2:  # noqa: PLR2004 - more than one
        raise DataError(
            f"{len(chosen)} training examples of one intent: an adapter that has seen"
            f" no other answers everything so; all of {', '.join(INTENTS)} are right"
        )
    return encoded(config, tokenizer, chosen, watched)


def encoded(
    config: RunConfig,
    tokenizer: Any,
    chosen: tuple[Example, ...],
    watched: tuple[Example, ...],
) -> Task:
    """Encode what is learnt and what is looked at. Raises DataError: one is too long."""
    wanted = config.looks and config.looks.losses
    checked = examples.spread(watched, wanted) if wanted else watched
    return Task(
        rows=tuple(row(tokenizer, example, config) for example in chosen),
        names=tuple(example.id for example in chosen),
        loss=sft_loss,
        collate=pad,
        digest=examples.digest(chosen),
        checks=tuple(row(tokenizer, example, config) for example in checked),
        watched=watched,
    )


def split(
    config: RunConfig, data_dir: Path | None
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """What is learnt, and what is looked at.

    Raises:
        ConfigError, DataError: as `task` does.
    """
    if config.curated is not UNSET:
        if data_dir is None:
            raise ConfigError(
                "the configuration names a curated set: give it by --data"
            )
        chosen, watched = _read(data_dir, "train"), _read(data_dir, "val")
        found = examples.digest(chosen)
        if found != config.curated.digest:
            raise DataError(
                f"{data_dir / TRAIN} has digest {found}, the configuration names"
                f" {config.curated.digest}: curate again, or name this one"
            )
        if config.curated.limit is not UNSET:
            chosen = examples.spread(chosen, config.curated.limit)
        return chosen, watched
    if data_dir is not None or config.data is UNSET:
        raise ConfigError("the configuration generates its data: leave --data out")
    data = config.data
    return (
        generate("train", count=data.train, seed=data.seed, words=data.words),
        generate("val", count=data.val, seed=data.seed, words=data.words),
    )


def row(tokenizer: Any, example: Example, config: RunConfig) -> Encoded:
    """Encode one example. Raises DataError where it is too long."""
    encoded = encode(
        tokenizer,
        example.input,
        example.output.text(),
        max_length=config.max_length,
        fields=config.fields or None,
    )
    most = config.max_target
    if most is not UNSET and len(encoded.answer) > most:
        raise DataError(
            f"the answer of {example.id} has {len(encoded.answer)} tokens, more than"
            f" max_target {most}: shorten it, or allow more"
        )
    return encoded


def _read(data_dir: Path, name: Split) -> tuple[Example, ...]:
    path = data_dir / f"{name}.jsonl"
    found = examples.load(path)
    if not found:
        raise DataError(f"{path} is empty: there is nothing to learn, or to look at")
    return found
