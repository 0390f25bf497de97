"""Jobs from a queue: a real Redis, a worker in a process of its own, and kills."""

import contextlib
import importlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Protocol

import pytest
from redis import Redis
from rq import Queue
from rq.job import Callback
from rq.serializers import JSONSerializer

from tests.contract.store.redis_server import RedisServer, running, wait_until
from training import jobs, record
from training.__main__ import main
from training.checkpoints import Stage, stage, work_path
from training.errors import ConfigError, JobError
from training.jobs import Job
from training.redis_queue import QUEUE, key_of
from training.run import Places
from training.seen import Seen

WEIGHTS = "adapter_model.safetensors"
SHIPPED = Path(__file__).parents[3] / "training" / "configs" / "sft.toml"
DEADLINE = 240
"""Seconds: a run of the tiny base takes two where nothing is beside it."""


def text(epochs: int = 2) -> str:
    """A configuration of 15 steps an epoch, with a checkpoint every third."""
    quick = SHIPPED.read_text()
    for old, new in (
        ("train = 800", "train = 60"),
        ("val = 60", "val = 4"),
        ("max_length = 320", "max_length = 2000"),
        ("epochs = 2", f"epochs = {epochs}"),
        ("batch_size = 8", "batch_size = 4"),
    ):
        assert old in quick
        quick = quick.replace(old, new)
    return f"{quick}\n[checkpoints]\nevery = 3\n"


class Begin(Protocol):
    """Starts a worker; by a URL of its own, if one is given."""

    def __call__(self, by: str = "") -> ForkServerProcess: ...


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def url(server: RedisServer) -> str:
    server.start()
    server.empty()
    return server.url


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Forks from a process that has imported torch once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.jobs", "training.loop", "peft"])
    return context


def at_work(url: str) -> None:
    """A worker; on one thread, for how many add up a sum decides its last bits."""
    importlib.import_module("torch").set_num_threads(1)
    jobs.work(url, burst=True, heartbeat=1)


@pytest.fixture
def begin(processes: ForkServerContext, url: str) -> Iterator[Begin]:
    """Starts a worker; none is left behind."""
    begun: list[ForkServerProcess] = []

    def start(by: str = "") -> ForkServerProcess:
        worker = processes.Process(target=at_work, args=(by or url,))
        worker.start()
        begun.append(worker)
        return worker

    yield start
    for worker in begun:
        worker.kill()
        worker.join()


@pytest.fixture(scope="module")
def whole(
    tiny_base: Path,
    server: RedisServer,
    processes: ForkServerContext,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What a worker made that nobody interrupted."""
    out = tmp_path_factory.mktemp("whole") / "acme-behav-lora@v1"
    server.empty()
    assert jobs.submit(server.url, Job(text(), Places(tiny_base, out))) == out.name
    worker = processes.Process(target=at_work, args=(server.url,))
    worker.start()
    worker.join(DEADLINE)
    assert worker.exitcode == 0
    (job,) = jobs.jobs(server.url)
    assert (job.id, job.state, job.why) == (out.name, "finished", "")
    assert job.stage == Stage(30, 30)
    return out


def only(url: str) -> Seen:
    (job,) = jobs.jobs(url)
    return job


def horse_of(worker: ForkServerProcess) -> int:
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text()
    (horse,) = children.split()
    return int(horse)


def is_there(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    with contextlib.suppress(OSError):
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    return False


def wait_for_step(out: Path, goal: int) -> None:
    def reached() -> bool:
        found = stage(out)
        return found is not None and found.step >= goal

    wait_until(reached, DEADLINE)


def test_a_worker_of_its_own_does_a_job_and_leaves_the_adapter(whole: Path) -> None:
    done = record.read_run(whole)
    assert (done.steps, done.starts) == (30, 1)
    assert (whole / WEIGHTS).is_file()
    assert not list(whole.parent.glob(".*"))


def test_a_killed_horse_fails_its_job_once_and_again_ends_with_the_same_weights(
    tiny_base: Path,
    whole: Path,
    tmp_path: Path,
    url: str,
    begin: Begin,
) -> None:
    out = tmp_path / "acme-behav-lora@v2"
    jobs.submit(url, Job(text(), Places(tiny_base, out)))
    worker = begin()
    wait_for_step(out, 6)
    os.kill(horse_of(worker), signal.SIGKILL)
    worker.join(DEADLINE)
    assert worker.exitcode == 0  # it found the queue empty: nothing was begun again
    job = only(url)
    assert job.state == "failed"
    assert "(signal 9)" in job.why
    assert job.stage == stage(out)
    assert job.stage
    assert job.stage.steps == 30
    assert not out.exists()
    with pytest.raises(JobError, match=f"`again {out.name}` goes on"):
        jobs.submit(url, Job(text(), Places(tiny_base, out)))
    jobs.again(url, out.name)
    begin().join(DEADLINE)
    assert only(url).state == "finished"
    assert record.read_run(out).starts == 2
    assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_a_killed_worker_takes_its_horse_along_and_the_job_is_abandoned(
    tiny_base: Path, tmp_path: Path, url: str, begin: Begin
) -> None:
    out = tmp_path / "acme-behav-lora@v2"
    jobs.submit(url, Job(text(), Places(tiny_base, out)))
    worker = begin()
    wait_for_step(out, 3)
    horse = horse_of(worker)
    worker.kill()
    worker.join()
    wait_until(lambda: not is_there(horse))
    assert only(url).state == "started"
    with pytest.raises(JobError, match="75 seconds later"):
        jobs.again(url, out.name)
    with Redis.from_url(url) as connection:
        for key, _ in connection.zrange(f"rq:wip:{QUEUE}", 0, -1, withscores=True):
            connection.zincrby(f"rq:wip:{QUEUE}", -62, key)  # a minute goes by
    assert only(url).state == "abandoned"
    jobs.again(url, out.name)
    assert only(url).state == "queued"


def test_a_redis_that_is_away_while_a_job_runs_hears_of_its_end_when_it_is_back(
    server: RedisServer,
    tiny_base: Path,
    tmp_path: Path,
    url: str,
    begin: Begin,
) -> None:
    out = tmp_path / "acme-behav-lora@v2"
    jobs.submit(url, Job(text(), Places(tiny_base, out)))
    worker = begin()
    wait_for_step(out, 3)
    server.kill()
    wait_until(out.exists, DEADLINE)
    server.start()
    worker.join(DEADLINE)
    assert worker.exitcode == 0
    assert only(url).state == "finished"


def test_a_worker_that_is_told_to_stop_ends_the_job_at_hand_and_says_so(
    tiny_base: Path, tmp_path: Path, url: str, begin: Begin
) -> None:
    out = tmp_path / "acme-behav-lora@v2"
    jobs.submit(url, Job(text(200), Places(tiny_base, out)))
    worker = begin()
    wait_for_step(out, 3)
    worker.terminate()
    worker.join(DEADLINE)
    assert worker.exitcode == 0
    assert only(url).state == "failed"
    assert only(url).why == "SystemExit: its worker was told to stop"
    assert stage(out) is not None


def test_a_job_that_is_cancelled_at_work_is_stopped_and_its_checkpoints_stay(
    tiny_base: Path, tmp_path: Path, url: str, begin: Begin
) -> None:
    out = tmp_path / "acme-behav-lora@v2"
    jobs.submit(url, Job(text(200), Places(tiny_base, out)))
    worker = begin()
    wait_for_step(out, 3)
    assert jobs.cancel(url, out.name).startswith("is told to stop")
    worker.join(DEADLINE)
    assert only(url).state == "stopped"
    assert stage(out) is not None
    assert jobs.cancel(url, out.name).startswith("is forgotten")
    assert jobs.jobs(url) == ()


def test_no_other_function_in_redis_is_called(
    tmp_path: Path, url: str, begin: Begin
) -> None:
    made = [tmp_path / name for name in ("called", "bound")]
    with Redis.from_url(url) as connection:
        queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)
        queue.enqueue_call("os.mkdir", args=[str(made[0])], job_id="a")
        queue.enqueue_call("training.jobs.again", args=[url, "a"], job_id="b")
        queue.enqueue_call("mkdir", args=[str(made[1])], job_id="c")
        job = queue.enqueue_call(
            "training.jobs.perform",
            job_id="d",
            on_failure=Callback("os.mkdir"),
            on_success=Callback("os.mkdir"),
        )
        ours = jobs.TrainingJob.fetch(job.id, connection, JSONSerializer)
    assert (ours.failure_callback, ours.success_callback) == (None, None)
    worker = begin()
    worker.join(DEADLINE)
    assert worker.exitcode == 0
    assert not any(path.exists() for path in made)
    found = {job.id: job for job in jobs.jobs(url)}
    assert {job.state for job in found.values()} == {"failed"}
    for each in ("a", "b", "c"):
        assert "a worker runs training.jobs.perform alone" in found[each].why
    assert found["d"].why.startswith("TypeError: perform() missing")


def test_an_adapter_has_one_job(tmp_path: Path, url: str) -> None:
    out = tmp_path / "acme-behav-lora@v2"
    job = Job(text(), Places(tmp_path, out))
    jobs.submit(url, job)
    with pytest.raises(JobError, match="is queued: wait for it, or `cancel"):
        jobs.submit(url, job)
    assert jobs.cancel(url, out.name).startswith("is forgotten")
    assert jobs.submit(url, job) == out.name


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (text().replace("[lora]", "[laro]"), "laro"),
        (text().replace("[data]", "[data"), "configuration of acme-behav-lora@v2"),
        (text().replace("r = 16", "r = 4096"), "could not be served"),
    ],
)
def test_a_broken_configuration_is_refused_before_it_is_queued(
    broken: str, said: str, tmp_path: Path, url: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        jobs.submit(url, Job(broken, Places(tmp_path, tmp_path / "acme-behav-lora@v2")))
    assert jobs.jobs(url) == ()


def test_paths_that_would_depend_on_where_the_worker_starts_are_refused(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(JobError, match="from / on"):
        jobs.submit(url, Job(text(), Places(tmp_path, Path("adapters/x@v1"))))


def test_what_is_there_is_not_made_again_and_not_replaced(whole: Path) -> None:
    def perform(epochs: int) -> dict[str, float]:
        return jobs.perform(
            config=text(epochs), base="/none", out=str(whole), data=None, start=None
        )

    assert perform(2)["steps"] == 30
    with pytest.raises(JobError, match="a job replaces nothing"):
        perform(3)
    assert (whole / WEIGHTS).is_file()
    assert not work_path(whole).exists()


def test_a_failure_is_kept_without_the_password_of_redis(
    server: RedisServer, tmp_path: Path, url: str, begin: Begin
) -> None:
    server.command("ACL SETUSER worker on >s3cret ~* &* +@all")
    out = tmp_path / "acme-behav-lora@v2"
    jobs.submit(url, Job(text(), Places(Path("/none/s3cret"), out)))
    begin(url.replace("//", "//worker:s3cret@")).join(DEADLINE)
    job = only(url)
    assert job.state == "failed"
    assert job.why.startswith("BaseError: /none/***")
    with Redis.from_url(url) as connection:
        kept = jobs.TrainingJob.fetch(key_of(out.name), connection, JSONSerializer)
        result = kept.latest_result()
    assert result
    assert "s3cret" not in str(result.exc_string)
    assert not list(tmp_path.iterdir())


def test_the_commands_take_the_queue_from_the_environment(
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "sft.toml"
    config.write_text(text())
    with pytest.raises(SystemExit):
        main(["jobs"])
    monkeypatch.setenv("WASTEGATE_QUEUE", url)
    assert main(["submit", str(config), "--base", "/base", "--out", "/a.b@v1"]) == 0
    assert main(["jobs"]) == 0
    assert main(["again", "a.b@v1"]) == 1
    assert main(["cancel", "a.b@v1"]) == 0
    assert main(["cancel", "a.b@v1"]) == 1
    told = capsys.readouterr()
    assert "a.b@v1 is queued" in told.out
    assert "a.b@v1  queued" in told.out
    assert "there is no job a.b@v1" in told.err
