"""Jobs for the training worker: a queue in Redis, by rq.

A job is the text of a configuration and paths on the worker's file system, so who submits
it may sit elsewhere. It is done at most once: whatever ends it early leaves it failed,
stopped or abandoned, and `again` goes on from its newest checkpoint.

    submit ──▶ queued ──▶ started ──▶ finished
                 ▲           ├──▶ failed      an error, or its process was killed
                 │           ├──▶ stopped     by `cancel`
                 │           └──▶ abandoned   its worker was killed
                 └── again ──┘
"""

from pathlib import Path
from typing import Any, Final

import msgspec
from rq.command import send_stop_job_command
from rq.exceptions import DuplicateJobError, InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer

from training import record, servable
from training.checkpoints import alone
from training.config import RunConfig, parse
from training.errors import DataError, JobError
from training.redis_queue import key_of, queue_at
from training.run import Places, run
from training.seen import OVER, Seen, seen
from training.worker import HEARTBEAT, TIDY, TTL, OwnJob, TrainingWorker

KEPT: Final = 30 * 24 * 3600
"""Seconds that Redis remembers a job after its end; what it made stays on the disk."""


class Job(msgspec.Struct, frozen=True):
    """What is to be trained, and where on the worker's file system."""

    config: str
    """The configuration's text, TOML."""
    places: Places
    """Absolute paths; the name of `out` is the job's id, the adapter's ref."""


def perform(
    *,
    config: str,
    base: str,
    out: str,
    data: str | None,
    start: str | None,
    reward: str | None = None,
) -> dict[str, float]:
    """Do a job; the one function that a worker runs.

    Returns:
        The steps and seconds of the run. One whose adapter is already there, since its
        worker could not say so any more, is not trained again.

    Raises:
        CheckpointError: another process is at it.
        JobError: something else is in the adapter's place.
        TrainingError: as `training.run.run` does.
    """
    wanted = parse(config, name="the job's configuration")
    where = [None if path is None else Path(path) for path in (data, start, reward)]
    places = Places(Path(base), Path(out), *where)
    with alone(places.out):
        done = _made(places.out, wanted) or run(wanted, places)
    return {"steps": done.steps, "seconds": done.seconds}


def submit(url: str, job: Job) -> str:
    """Put a job into the queue.

    Args:
        url: the queue's Redis, redis://…
        job: what to do.

    Returns:
        The job's id.

    Raises:
        ConfigError: its configuration is not usable, or its adapter could not be served.
        JobError: there is a job for this adapter, or its paths are not absolute.
        QueueError: no Redis.
    """
    name = job.places.out.name
    servable.check(parse(job.config, name=f"the configuration of {name}"))
    paths = msgspec.structs.asdict(job.places)
    for path in paths.values():
        if path is not None and not path.is_absolute():
            raise JobError(
                f"{path}: paths are those of the worker, which starts elsewhere: give"
                " them from / on"
            )
    told = {key: None if path is None else str(path) for key, path in paths.items()}
    with queue_at(url, TrainingJob) as queue:
        try:
            queue.enqueue_call(
                f"{perform.__module__}.{perform.__qualname__}",
                kwargs={"config": job.config} | told,
                job_id=key_of(name),
                timeout=-1,  # rq's default ends a job after three minutes
                result_ttl=KEPT,
                failure_ttl=KEPT,
                description=name,
                unique=True,
            )
        except DuplicateJobError as error:
            raise JobError(_taken(seen(_fetch(queue, name)))) from error
    return name


def work(url: str, *, burst: bool, heartbeat: int = HEARTBEAT) -> None:
    """Do jobs, one at a time, until SIGTERM or SIGINT; those end the job at hand, too.

    Args:
        url: the queue's Redis.
        burst: leave when the queue is empty.
        heartbeat: seconds between signs of life of a job.

    Raises:
        QueueError: no Redis at the start, or when a job's end was to be told.
    """
    with queue_at(url, TrainingJob) as queue:
        worker = TrainingWorker(
            [queue],
            connection=queue.connection,
            job_class=TrainingJob,
            serializer=JSONSerializer,
            worker_ttl=TTL,
            job_monitoring_interval=heartbeat,
            maintenance_interval=TIDY,
            log_job_description=False,
        )
        worker.work(burst=burst, logging_level="INFO")


def jobs(url: str) -> tuple[Seen, ...]:
    """All jobs that Redis remembers; the ones at work first, the oldest last.

    Raises:
        QueueError: no Redis.
    """
    with queue_at(url, TrainingJob) as queue:
        started = queue.started_job_registry
        started.cleanup()  # finds those that were abandoned
        keys = [
            *started.get_job_ids(cleanup=False),
            *queue.intermediate_queue.get_job_ids(),
            *queue.get_job_ids(),
            *queue.failed_job_registry.get_job_ids(desc=True),
            *queue.finished_job_registry.get_job_ids(desc=True),
        ]
        found = TrainingJob.fetch_many(
            dict.fromkeys(keys), queue.connection, JSONSerializer
        )
        return tuple(seen(job) for job in found if job is not None)


def again(url: str, name: str) -> None:
    """Queue a job that is over once more; it goes on from its newest checkpoint.

    Raises:
        JobError: there is none, or it is in no state to go on from.
        QueueError: no Redis.
    """
    with queue_at(url, TrainingJob) as queue:
        job = _fetch(queue, name)
        state = seen(job).state
        if state not in OVER:
            raise JobError(
                f"{name} is {state}: only a job that is {', '.join(sorted(OVER))} is"
                " begun again. One whose worker was killed counts as abandoned"
                f" {HEARTBEAT + 60} seconds later"
            )
        try:
            job.requeue()
        except InvalidJobOperation as error:
            raise JobError(f"somebody else has just queued {name} again") from error


def cancel(url: str, name: str) -> str:
    """Take a job out of the queue, stop it, or forget it, by the state that it is in.

    Returns:
        What was done, in words.

    Raises:
        JobError: there is none.
        QueueError: no Redis.
    """
    with queue_at(url, TrainingJob) as queue:
        job = _fetch(queue, name)
        if seen(job).state == "started":
            send_stop_job_command(queue.connection, job.id, JSONSerializer)
            return "is told to stop; its checkpoints stay"
        job.delete()
        return "is forgotten; what is on the worker's disk stays"


class TrainingJob(OwnJob):
    """A job that performs."""

    only = staticmethod(perform)


def _fetch(queue: Any, name: str) -> Any:
    queue.started_job_registry.cleanup()
    try:
        return TrainingJob.fetch(key_of(name), queue.connection, JSONSerializer)
    except NoSuchJobError as error:
        raise JobError(
            f"there is no job {name}: `jobs` names those there are"
        ) from error


def _taken(found: Seen) -> str:
    """Why an adapter's second job is not taken, and what to do."""
    if found.state in OVER:
        return (
            f"{found.id} is {found.state}: `again {found.id}` goes on with it; to begin"
            f" another in its place, `cancel {found.id}` first"
        )
    if found.state == "finished":
        return (
            f"{found.id} is finished, and a ref stands for one adapter: give this one"
            f" another --out; `cancel {found.id}` only forgets the job"
        )
    return f"{found.id} is {found.state}: wait for it, or `cancel {found.id}`"


def _made(out: Path, wanted: RunConfig) -> record.Run | None:
    """The finished run at `out`, if it is the one that is wanted."""
    if not out.exists():
        return None
    try:
        done = record.read_run(out)
    except DataError:
        done = None
    if done is None or done.config_digest != wanted.digest():
        raise JobError(
            f"{out} is there, and is not what this job would make: a job replaces"
            " nothing. Move it away, or give another --out"
        )
    return done
