"""The runner: every sample once, a bounded number at a time, nothing asked twice."""

import asyncio
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
    task: Task, ask: Ask, journal: Journal, progress: Progress
) -> tuple[Answer, ...]:
    """Answers in the order of the samples; those in the journal are not asked again.

    Raises `RunFailedError` for a sample that fails twice; the rest stays recorded.
    """
    total = len(task.samples)
    todo: list[tuple[str, Sample]] = []
    for sample in task.samples:
        key = answers.key(sample, task.subject, task.params)
        if journal.get(key) is None:
            todo.append((key, sample))
    done = total - len(todo)
    progress(done, total)

    def arrived(key: str, answer: Answer) -> None:
        nonlocal done
        journal.add(key, answer)
        done += 1
        progress(done, total)

    queue = iter(todo)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(task.concurrency, len(todo))):
                group.create_task(_work(queue, task, ask, arrived))
    except ExceptionGroup as failures:
        # The first failure cancelled the others; it alone says what went wrong.
        raise failures.exceptions[0] from None
    return tuple(_recorded(journal, task))


async def _work(
    queue: Iterator[tuple[str, Sample]],
    task: Task,
    ask: Ask,
    arrived: Callable[[str, Answer], None],
) -> None:
    for key, sample in queue:
        arrived(key, await _ask(sample, task, ask))


async def _ask(sample: Sample, task: Task, ask: Ask) -> Answer:
    try:
        return await ask(sample, task.subject, task.params)
    except TargetError as first:
        await asyncio.sleep(first.retry_after)
    try:
        return await ask(sample, task.subject, task.params)
    except TargetError as error:
        raise RunFailedError(sample.id, task.subject.generator, error) from error


def _recorded(journal: Journal, task: Task) -> Iterator[Answer]:
    for sample in task.samples:
        answer = journal.get(answers.key(sample, task.subject, task.params))
        if answer is not None:
            yield answer
