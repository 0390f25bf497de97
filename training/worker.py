"""rq's job and worker, with what they may not do and what a training needs of them.

rq calls whatever dotted name stands in Redis: as the job's function, as its callbacks,
and it sends whatever webhooks do. Here a job can run one function and nothing else, so
who can write to Redis can have adapters trained, and no code run.

The worker forks a horse for each job. It is the horse that trains and that tells Redis
what came of it; the worker waits, and sends heartbeats.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Final, NoReturn

from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as NoRedisError, TimeoutError as SlowError
from redis.retry import Retry
from rq import Worker
from rq.exceptions import DeserializationError
from rq.job import Job

from training import checkpoints
from training.errors import JobError

HEARTBEAT: Final = 15
"""Seconds between heartbeats of a job; rq counts a job as abandoned a minute after the
one that did not come, so 75 seconds after its worker was killed."""

TTL: Final = 30
"""Seconds for which an idle worker is known to be there; it looks up every fifteen."""

TIDY: Final = 60
"""Seconds between an idle worker's searches for abandoned jobs."""

PATIENCE: Final = 120
"""How often a horse that is done tries to tell Redis so, five seconds apart: ten minutes
are a restart of Redis, and its host's. After that the adapter is whole, Redis does not
know, and the job will count as abandoned."""

_PR_SET_PDEATHSIG: Final = 1


class OwnJob(Job):
    """A job that runs one function of ours, whatever Redis says."""

    only: ClassVar[Callable[..., object]]

    @property
    def func(self) -> Callable[..., object]:
        """The one function.

        Raises:
            JobError: the job in Redis names another one.
        """
        only = type(self).only
        ours = f"{only.__module__}.{only.__qualname__}"
        if self.func_name != ours or self.instance is not None:
            raise JobError(
                f"this job asks for {self.func_name!r}: a worker runs {ours} alone;"
                " see who else writes to this Redis"
            )
        return only

    @property
    def success_callback(self) -> None:
        """None: rq would import and call it."""

    @property
    def failure_callback(self) -> None:
        """None: as above."""

    @property
    def stopped_callback(self) -> None:
        """None: as above."""

    def send_webhooks(self, *args: Any, **kw: Any) -> None:
        """None are sent: an address in Redis is not to be asked from here."""

    def restore(self, raw_data: Any) -> None:
        """Read it from Redis, but for what would start it, or others, again."""
        super().restore(raw_data)
        self.retries_left = None
        self.repeats_left = None
        self.rate_limit_key = None
        self.group_id = None
        self._dependency_ids = []


class TrainingWorker(Worker):
    """Forks a horse for each job, and outlives a Redis that is away meanwhile."""

    def main_work_horse(self, job: Any, queue: Any) -> None:
        """The horse's own way, from fork to exit."""
        _die_with(self.pid)
        self.connection.set_retry(
            Retry(ExponentialBackoff(cap=5, base=0.5), retries=PATIENCE)
        )
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """SIGTERM ends the run as an error does: half-written directories go away."""
        super().setup_work_horse_signals()
        signal.signal(signal.SIGTERM, _stopped)

    def handle_warm_shutdown_request(self) -> None:
        """End the run, too: rq would wait for it, for hours."""
        super().handle_warm_shutdown_request()
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def maintain_heartbeats(self, job: Any, execution: Any) -> None:
        """Say that the job is alive, and how far it is; without Redis, say nothing.

        rq's worker would leave, and take the training with it.
        """
        try:
            super().maintain_heartbeats(job, execution)
            _note(job)
        except (NoRedisError, SlowError) as error:
            self.log.warning("no Redis (%s): the training goes on", error)

    def execute_job(self, job: Any, queue: Any) -> None:
        """Have it done, and say how far it came if it was not."""
        super().execute_job(job, queue)
        _note(job)  # a horse that was killed could not

    def handle_job_failure(
        self, job: Any, queue: Any, *args: Any, exc_string: str = "", **kw: Any
    ) -> None:
        """Keep what went wrong, without the password of Redis."""
        secret = self.connection.connection_pool.connection_kwargs.get("password")
        if secret:
            exc_string = exc_string.replace(secret, "***")
        super().handle_job_failure(job, queue, *args, exc_string=exc_string, **kw)

    def clean_group_registries(self) -> None:
        """Do nothing: our jobs are in no groups."""


def _note(job: Any) -> None:
    """Write into the job how far its run is on this worker's disk."""
    try:
        out = Path(job.kwargs["out"])
    except (DeserializationError, LookupError, TypeError):
        return  # not one of ours; it was refused
    if found := checkpoints.stage(out):
        job.meta = {"step": found.step, "steps": found.steps}
        job.save_meta()


def _die_with(parent: int) -> None:
    """Have the horse killed when its worker is.

    Else it would train on alone, count as abandoned after a while, and be begun a second
    time beside itself. Only Linux can do it; elsewhere the lock on the work is what is
    left of that.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be said
        os._exit(1)


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit("its worker was told to stop")
