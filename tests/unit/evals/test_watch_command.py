"""`python -m evals watch`: once, again and again, and where its metrics go."""

import argparse
import http.client
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from evals import exposition, watch_command
from evals.errors import SetupError
from tests.unit.evals.kept_lines import line, wrote


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    watch_command.arguments(parser)
    return parser.parse_args(words)


def test_the_textfile_is_replaced_whole(tmp_path: Path) -> None:
    wrote(tmp_path / "kept-1.jsonl", [line(1)])
    out = tmp_path / "out" / "wastegate.prom"
    command = options(str(tmp_path), "--kept=all", "--once", f"--textfile={out}")
    for _ in range(2):
        assert watch_command.run(command, Console(stderr=True)) == 0
        assert "wastegate_eval_samples" in out.read_text()
        assert [path.name for path in out.parent.iterdir()] == [out.name]
        assert out.stat().st_mode & 0o777 == 0o644


def test_a_textfile_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="name another file"):
        exposition.write("", tmp_path / "file" / "x.prom")


def test_how_much_is_kept_has_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--once")
    assert "--kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("--every=0",),
        ("--every=7200",),
        ("--every=5", "--once"),
        ("--every=5", "--listen=nowhere"),
        ("--every=5", "--listen=127.0.0.1:70000"),
    ],
)
def test_what_makes_no_sense_is_bad_usage(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        options("--kept=all", *words)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_metrics_are_served_until_the_end() -> None:
    board = exposition.Board()
    board.content = b"x 1\n"
    with exposition.serving(board, "127.0.0.1", 0) as port:
        assert get(port, "/metrics") == (200, "x 1\n")
        assert get(port, "/")[0] == 404
        with (
            pytest.raises(SetupError, match="see --listen"),
            exposition.serving(board, "127.0.0.1", port),
        ):
            pass
    with pytest.raises(OSError, match="refused"):
        get(port, "/metrics")


def test_it_looks_again_and_again_until_a_sigterm(tmp_path: Path) -> None:
    wrote(tmp_path / "kept-1.jsonl", [line(1)])
    out = tmp_path / "w.prom"

    def growing() -> None:
        until(out.exists)
        wrote(tmp_path / "kept-2.jsonl", [line(2)])
        until(lambda: 'mode="free"} 2.0' in out.read_text())
        signal.raise_signal(signal.SIGTERM)

    other = threading.Thread(target=growing)
    before = signal.getsignal(signal.SIGTERM)
    command = options(
        str(tmp_path), "--kept=all", "--every=0.02", f"--textfile={out}",
        "--listen=127.0.0.1:0",
    )  # fmt: skip
    other.start()
    assert watch_command.run(command, Console(stderr=True)) == 0
    other.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_listening_once_makes_no_sense() -> None:
    command = options("--kept=all", "--once", "--listen=127.0.0.1:9109")
    with pytest.raises(SetupError, match="goes with --every"):
        watch_command.run(command, Console(stderr=True))
