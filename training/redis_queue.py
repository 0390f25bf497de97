"""The queue's Redis: how it is reached, how it is spoken of, what a job is called there."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from training.errors import QueueError

QUEUE: Final = "wastegate-training"


@contextmanager
def queue_at(url: str, job_class: type[Any]) -> Generator[Any]:
    """The queue at a URL, for the time of the block.

    Args:
        url: redis://, rediss:// or unix://.
        job_class: what its jobs are read as.

    Raises:
        QueueError: what is no URL, and each error of Redis, within the block as well;
            no password is in it.
    """
    try:
        connection = Redis.from_url(
            url,
            socket_connect_timeout=5,
            socket_keepalive=True,
            retry=Retry(ExponentialBackoff(cap=1, base=0.1), retries=3),
        )
    except ValueError:
        # Not chained: it may quote a part of the password.
        raise QueueError(
            f"{shown(url)} is not the URL of a Redis, redis://HOST:PORT/NUMBER"
        ) from None
    try:
        connection.ping()
        yield Queue(
            QUEUE, connection=connection, job_class=job_class, serializer=JSONSerializer
        )
    except RedisError as error:
        raise QueueError(
            f"the queue at {shown(url)} cannot be used: {str(error).rstrip('.')}. Start"
            " its Redis, or name another one by --queue or WASTEGATE_QUEUE"
        ) from error
    finally:
        connection.close()


def shown(url: str) -> str:
    """A URL without user, password and parameters; of an ill-formed one, little."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "what was given"
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    if not host or not re.fullmatch(r"/?[0-9]*", parts.path):
        return "what was given"  # a slash in a password moves the rest of it elsewhere
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"


def key_of(name: str) -> str:
    """Of a job, the id in rq: it takes no @ and no dot; `a.b@v1` is `a_2eb_40v1`."""
    return re.sub(rb"[^A-Za-z0-9-]", _coded, name.encode()).decode()


def name_of(key: str) -> str:
    """The name that `key_of` made a key of."""
    raw = re.sub(rb"_([0-9a-f]{2})", _plain, key.encode())
    return raw.decode(errors="replace")


def _coded(found: re.Match[bytes]) -> bytes:
    return f"_{found[0][0]:02x}".encode()


def _plain(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])
