import time

import pytest

from training.__main__ import main
from training.redis_queue import key_of, name_of, shown


def test_without_redis_the_sentence_says_where_and_what_to_do_and_no_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    began = time.monotonic()
    argv = ["submit", "training/configs/sft.toml", "--base", "/base", "--out", "/x@v1"]
    assert main([*argv, "--queue", "redis://me:s3cret@127.0.0.1:1/0"]) == 1
    said = capsys.readouterr().err
    assert "the queue at redis://127.0.0.1:1/0 cannot be used" in said
    assert "WASTEGATE_QUEUE" in said
    assert "s3cret" not in said
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "given",
    [
        "redis://:s3cret@h:x/0",
        "redis://:s3cret/ret@h:1/0",
        "s3cret",
        "redis://h:1/0?password=s3cret",
        "unix://:s3cret@/run/redis.sock",
    ],
)
def test_no_password_is_shown(given: str) -> None:
    assert "ret" not in shown(given)


def test_every_ref_is_a_name_in_rq_and_back() -> None:
    for name in ("acme-behav-lora@v1", "a.b_c@v2", "é@v3"):
        assert key_of(name).replace("_", "").replace("-", "").isascii()
        assert name_of(key_of(name)) == name
