"""The runner: every sample once, a bounded number at a time, nothing asked twice.

Samples are asked in an order drawn from their content, so that what has been asked when
a budget ends a run is as good as a random part of them.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from evals import answers
from evals.answers import Answer, Journal, Params, Subject
from evals.errors import RunFailedError, TargetError
from evals.samples import Sample

Ask = Callable[[Sample, Subject, Params], Awaitable[Answer]]
Progress = Callable[[int, int], None]
"""Called with (done, total) after every sample."""


class Task(msgspec.Struct, frozen=True):
    """Samples to be put to one subject, and how."""

    samples: tuple[Sample, ...]
    subject: Subject
    params: Params
    concurrency: int = 8


async def run(
    task: Task,
    ask: Ask,
    journal: Journal,
    progress: Progress,
    go_on: Callable[[], bool] = lambda: True,
) -> dict[str, Answer]:
    """Answers by sample id, in the order of the samples; recorded ones are not asked.

    Args:
        task: what is asked of whom.
        ask: puts one question.
        journal: where answers are looked up and kept.
        progress: told after every answer.
        go_on: asked before every question; when it says no, the rest stays unasked.

    Raises:
        RunFailedError: a sample failed twice; the rest stays recorded.
    """
    total = len(task.samples)
    keys = {s.id: answers.key(s, task.subject, task.params) for s in task.samples}
    todo = [s for s in task.samples if journal.get(keys[s.id]) is None]
    todo.sort(key=lambda sample: sample.digest)
    done = total - len(todo)
    progress(done, total)

    def arrived(sample: Sample, answer: Answer) -> None:
        nonlocal done
        journal.add(keys[sample.id], answer)
        done += 1
        progress(done, total)

    queue = itertools.takewhile(lambda _: go_on(), todo)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(task.concurrency, len(todo))):
                group.create_task(_work(queue, task, ask, arrived))
    except ExceptionGroup as failures:
        # The first failure cancelled the others; it alone says what went wrong.
        raise failures.exceptions[0] from None
    found = ((id_, journal.get(key)) for id_, key in keys.items())
    return {id_: answer for id_, answer in found if answer is not None}


async def _work(
    queue: Iterator[Sample],
    task: Task,
    ask: Ask,
    arrived: Callable[[Sample, Answer], None],
) -> None:
    for sample in queue:
        arrived(sample, await _ask(sample, task, ask))


async def _ask(sample: Sample, task: Task, ask: Ask) -> Answer:
    try:
        return await ask(sample, task.subject, task.params)
    except TargetError as first:
        await asyncio.sleep(first.retry_after)
    try:
        return await ask(sample, task.subject, task.params)
    except TargetError as error:
        raise RunFailedError(sample.id, task.subject.generator, error) from error
