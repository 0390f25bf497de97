"""A run from top to bottom: configuration, base, examples, steps, adapter."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from training import (
    base,
    judges,
    models,
    preference,
    processes,
    record,
    reward,
    rloo,
    servable,
    supervised,
)
from training.checkpoints import Owner, Work
from training.config import RunConfig
from training.errors import BaseError, CheckpointError, ConfigError
from training.files import whole_directory
from training.record import Run
from training.task import Task


class Places(msgspec.Struct, frozen=True):
    """Where a run finds what it needs, and where it leaves what it makes."""

    base: Path
    """The prepared base checkpoint."""
    out: Path
    """Directory for the adapter and the run's record: whole, or not there."""
    data: Path | None = None
    """The curated set or the pairs, where the configuration names them."""
    start: Path | None = None
    """The run or the adapter to go on from, where the configuration names one."""
    reward: Path | None = None
    """The run of a reward model, where the configuration names one."""


def run(config: RunConfig, places: Places, *, fresh: bool = False) -> Run:
    """Train; a run that was killed goes on where its last checkpoint stands.

    Started as several processes, all of them train, and the main one alone writes.

    Args:
        config: what to do.
        places: with what, and where to.
        fresh: throw away the work of an earlier start.

    Raises:
        ConfigError: it asks for what cannot be served, or for a place that is missing.
        BaseError: the base is not there, not what it was, or not the configuration's.
        DataError: examples that must not be trained on.
        TuneError: the steps cannot go on; CheckpointError: their work cannot be kept.
    """
    servable.check(config)
    if places.reward is not None and config.method != "rloo":
        raise ConfigError(f"a run by {config.method} has no reward: leave --reward out")
    found = base.verify(places.base, ref=config.base)
    if config.base_digest is not UNSET and found.digest != config.base_digest:
        raise BaseError(
            f"{places.base} has digest {found.digest}, the configuration names"
            f" {config.base_digest}: prepare that base, or name this one"
        )
    earlier = _earlier(config, places)
    model, tokenizer = models.loaded(config, places.base)
    model = models.tuned(model, config, places.start)
    task = _task(config, tokenizer, places, model)
    owner = Owner(config.digest(), task.digest, found.digest)
    work = Work(places.out, owner)
    processes.join()
    if processes.is_main():
        work.open(fresh=fresh)
    processes.wait()
    from training.loop import fit  # noqa: PLC0415 - imports torch

    fitted = fit(model, config, task, tokenizer=tokenizer, work=work)
    done = Run(
        config=config,
        config_digest=owner.config,
        base_digest=owner.base,
        data_digest=owner.data,
        examples=len(task.rows),
        seconds=fitted.seconds,
        steps=fitted.steps,
        log=fitted.log,
        versions=record.versions(),
        earlier=earlier,
        kept=_step(fitted.kept),
        tokens=fitted.tokens,
        starts=fitted.starts,
    )
    if processes.is_main():
        _leave(model, places.out, work, done, fitted.kept)
    processes.leave()
    return done


def _leave(model: Any, out: Path, work: Work, done: Run, kept: Path | None) -> None:
    with whole_directory(out) as draft:
        record.save(model, draft, done)
        if kept is not None:
            shutil.copytree(kept, draft, dirs_exist_ok=True)
        _picture(work, draft, done)
    work.done()


def _task(config: RunConfig, tokenizer: Any, places: Places, model: Any) -> Task:
    match config.method:
        case "sft":
            return supervised.task(config, tokenizer, places.data)
        case "rloo":
            judge = judges.judge(config, tokenizer, places.reward, places.base)
            return rloo.task(config, tokenizer, places.data, model, judge)
        case "reward":
            return reward.task(config, tokenizer, places.data)
        case "dpo" | "orpo":
            return preference.task(config, tokenizer, places.data, reference=model)


def _earlier(config: RunConfig, places: Places) -> tuple[Run, ...]:
    """The stages before this one, where `start` is a run and no published adapter."""
    if config.preference or places.start is None:
        return ()
    if not (places.start / record.RUN_RECORD).is_file():
        return ()
    before = record.read_run(places.start)
    return (*before.earlier, msgspec.structs.replace(before, earlier=()))


def _step(kept: Path | None) -> int | msgspec.UnsetType:
    return UNSET if kept is None else int(kept.name.rpartition("-")[2])


def _picture(work: Work, draft: Path, done: Run) -> None:
    from training.curves import svg  # noqa: PLC0415 - beside its only use

    try:
        shutil.copytree(work.path / "tensorboard", draft / "tensorboard")
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{error.filename} is gone: train anew, --fresh"
        ) from error
    (draft / "curves.svg").write_text(svg(done.log, title=done.config.ref))
