"""The preference tasks: DPO against the parent, ORPO without a reference."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from training.config import RunConfig
from training.data.pairs import Pair, make_pairs
from training.encode import Encoded, encode, pad
from training.errors import ConfigError, DataError
from training.objectives import orpo_loss, preference_loss, sequence_logps
from training.task import Task

PAIRS = "pairs.jsonl"


class PairRow(msgspec.Struct, frozen=True):
    """A pair as token ids, with its answers' log-probabilities under the reference."""

    chosen: Encoded
    rejected: Encoded
    reference: tuple[float, float] = (0.0, 0.0)

    @property
    def length(self) -> int:
        """Tokens of the longer of the two."""
        return max(self.chosen.length, self.rejected.length)


def task(
    config: RunConfig, tokenizer: Any, data_dir: Path | None, *, reference: Any
) -> Task:
    """Encode a configuration's pairs.

    Args:
        config: of method "dpo" or "orpo".
        tokenizer: the base's.
        data_dir: holds `pairs.jsonl`, where the configuration names such a file.
        reference: the model as it is before the first step; DPO measures against it.

    Raises:
        ConfigError: a directory is missing, or not asked for.
        DataError: other pairs than the configuration's, or a sequence too long.
    """
    pairs = chosen_pairs(config, data_dir)
    rows = [pair_row(tokenizer, pair, config) for pair in pairs]
    loss = functools.partial(orpo_loss, odds_weight=_odds(config))
    if config.preference is not None:
        wanted = config.preference
        loss = functools.partial(
            preference_loss, beta=wanted.beta, sft_weight=wanted.sft_weight
        )
        pad_id, size = int(tokenizer.pad_token_id), config.optim.batch_size
        rows = with_reference(reference, rows, pad_id=pad_id, size=size)
    return Task(
        rows=tuple(rows),
        names=tuple(pair.id for pair in pairs),
        loss=loss,
        collate=pad_pairs,
        digest=pairs_digest(pairs),
    )


def chosen_pairs(config: RunConfig, data_dir: Path | None) -> tuple[Pair, ...]:
    """A configuration's pairs, from its file or from the generator.

    Raises:
        ConfigError, DataError: as `task` does.
    """
    if config.pairs is UNSET:
        if data_dir is not None or config.data is UNSET or config.preference is None:
            raise ConfigError("the configuration generates its pairs: leave --data out")
        return make_pairs(count=config.preference.pairs, seed=config.data.seed)
    if data_dir is None:
        raise ConfigError("the configuration names a file of pairs: give it by --data")
    found = load_pairs(data_dir / PAIRS)
    if pairs_digest(found) != config.pairs.digest:
        raise DataError(
            f"{data_dir / PAIRS} has digest {pairs_digest(found)}, the configuration"
            f" names {config.pairs.digest}: make them again, or name these"
        )
    return found


def load_pairs(path: Path) -> tuple[Pair, ...]:
    """Read JSON lines of pairs.

    Raises:
        DataError: unreadable, empty, or a line is no pair; with file and line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"cannot read pairs: {error}") from error
    found: list[Pair] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(msgspec.json.decode(line, type=Pair))
        except msgspec.MsgspecError as error:
            raise DataError(f"{path}, line {number}: {error}") from error
    if not found:
        raise DataError(f"{path}: no pair in it; one JSON object a line is right")
    return tuple(found)


def pairs_digest(pairs: Sequence[Pair]) -> str:
    """Hex sha256 of the pairs as JSONL."""
    return hashlib.sha256(dumps(pairs)).hexdigest()


def dumps(pairs: Sequence[Pair]) -> bytes:
    """Encode as JSONL; the same pairs, the same bytes."""
    return b"".join(msgspec.json.encode(pair) + b"\n" for pair in pairs)


def with_reference(
    model: Any, rows: Sequence[PairRow], *, pad_id: int, size: int
) -> list[PairRow]:
    """Note the log-probabilities under the model as it is.

    Computed once, before the first step, they spare a second model in memory.
    """
    model.eval()
    order = sorted(range(len(rows)), key=lambda index: rows[index].length)
    done = list(rows)
    for start in range(0, len(order), size):
        chunk = order[start : start + size]
        values = sequence_logps(
            model, pad_pairs([rows[i] for i in chunk], pad_id=pad_id)
        )
        for place, index in enumerate(chunk):
            pair = (float(values[place]), float(values[place + len(chunk)]))
            done[index] = msgspec.structs.replace(rows[index], reference=pair)
    return done


def pad_pairs(rows: Sequence[PairRow], *, pad_id: int) -> dict[str, Any]:
    """A batch of `[chosen…, rejected…]` with the reference's log-probabilities."""
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    batch = pad(
        [*(row.chosen for row in rows), *(row.rejected for row in rows)], pad_id=pad_id
    )
    kept = [row.reference[0] for row in rows], [row.reference[1] for row in rows]
    batch["reference"] = torch.tensor([*kept[0], *kept[1]])
    return batch


def _odds(config: RunConfig) -> float:
    return 0.0 if config.orpo is UNSET else config.orpo.odds_weight


def pair_row(tokenizer: Any, pair: Pair, config: RunConfig) -> PairRow:
    """Encode a pair. Raises DataError where one of its answers is too long."""
    chosen, rejected = (
        encode(tokenizer, pair.input, text, max_length=config.max_length)
        for text in (pair.chosen, pair.rejected)
    )
    return PairRow(chosen, rejected)
