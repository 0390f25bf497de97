"""The preference run: DPO from the supervised adapter, which is its reference too."""

import functools
import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from training import base, sft
from training.config import RunConfig
from training.data.pairs import Pair, make_pairs
from training.encode import Encoded, encode, pad
from training.errors import ConfigError
from training.files import whole_directory
from training.objectives import preference_loss, sequence_logps


class PairRow(msgspec.Struct, frozen=True):
    """A pair as token ids, with its answers' log-probabilities under the reference."""

    chosen: Encoded
    rejected: Encoded
    reference: tuple[float, float] = (0.0, 0.0)

    @property
    def length(self) -> int:
        """Tokens of the longer of the two."""
        return max(self.chosen.length, self.rejected.length)


def train(config: RunConfig, *, base_dir: Path, parent_dir: Path, out: Path) -> sft.Run:
    """Train on pairs and write the adapter to `out`, whole or not at all.

    Args:
        config: of method "dpo".
        base_dir: the prepared base checkpoint.
        parent_dir: the adapter to continue from.
        out: directory for the new adapter.

    Raises:
        ConfigError: no preference table.
        BaseError: the base is not there, or not what it was.
        DataError: a sequence exceeds `max_length`.
    """
    wanted = config.preference
    if wanted is None:
        raise ConfigError("a preference run needs a [preference] table")
    record = base.verify(base_dir, ref=config.base)
    pairs = make_pairs(count=wanted.pairs, seed=config.data.seed)
    model, tokenizer = sft.load_base(base_dir, seed=config.seed)
    model = sft.continued(model, parent_dir)
    rows = [_row(tokenizer, pair, config) for pair in pairs]
    print(  # noqa: T201 - a worker's progress
        f"{config.ref}: {len(pairs)} pairs, {dict(Counter(p.fault for p in pairs))}",
        flush=True,
    )
    pad_id = int(tokenizer.pad_token_id)
    started = time.perf_counter()
    rows = with_reference(model, rows, pad_id=pad_id, size=config.optim.batch_size)
    with whole_directory(out) as draft:
        log, steps = sft.fit(
            model,
            config,
            rows=rows,
            checks=[],
            pad_id=pad_id,
            loss=functools.partial(
                preference_loss, beta=wanted.beta, sft_weight=wanted.sft_weight
            ),
            scratch=draft / "scratch",
            collate=pad_pairs,
        )
        run = sft.Run(
            config=config,
            config_digest=config.digest(),
            base_digest=record.digest,
            data_digest=pairs_digest(pairs),
            examples=len(pairs),
            seconds=round(time.perf_counter() - started, 1),
            steps=steps,
            log=tuple(log),
            versions=sft.versions(),
        )
        sft.save(model, draft, run)
    return run


def pairs_digest(pairs: Sequence[Pair]) -> str:
    """Hex sha256 of the pairs as JSONL."""
    lines = b"".join(msgspec.json.encode(pair) + b"\n" for pair in pairs)
    return hashlib.sha256(lines).hexdigest()


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


def _row(tokenizer: Any, pair: Pair, config: RunConfig) -> PairRow:
    chosen, rejected = (
        encode(tokenizer, pair.input, text, max_length=config.max_length)
        for text in (pair.chosen, pair.rejected)
    )
    return PairRow(chosen, rejected)
