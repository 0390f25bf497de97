"""The command line: set-up, exit codes."""

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec
import pytest
import uvicorn
from rich.console import Console

from adapters import verdict as verdicts
from evals.__main__ import main
from evals.environment import NAMES, access
from evals.errors import SetupError
from evals.fake import FakeGateway, Reply, delivered, failed
from evals.progress import shown
from evals.result import SuiteResult
from evals.samples import Sample


def test_local_env_is_read_and_the_environment_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "local.env"
    values = (f"export {name}='http://{i}/'" for i, name in enumerate(NAMES))
    file.write_text("# made by make up\n" + "\n".join(values))
    found = access({"WASTEGATE_URL": "http://else"}, file)
    assert found.url == "http://else"
    assert found.admin_url == "http://1"
    assert found.admin_key == "http://3/"


def test_what_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="WASTEGATE_KEY, WASTEGATE_ADMIN_KEY not set"):
        access(
            {"WASTEGATE_URL": "http://a", "WASTEGATE_ADMIN_URL": "http://b"},
            tmp_path / "none.env",
        )


def test_help_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["suite", "--help"])
    assert caught.value.code == 0
    assert "--samples" in capsys.readouterr().out


def test_a_missing_sample_file_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suite", "--samples", str(tmp_path / "none.jsonl")]) == 2
    assert "--split test" in capsys.readouterr().err


@pytest.fixture
def serve() -> Generator[Callable[[FakeGateway], str]]:
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(gateway: FakeGateway) -> str:
        config = uvicorn.Config(gateway, port=0, lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread))
        end = time.monotonic() + 60
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]
) -> Callable[[str], list[str]]:
    """A directory with samples; called with the gateway's URL, gives arguments."""
    monkeypatch.chdir(tmp_path)
    samples = [make_sample(f"s{i}", cites=("kb-0",)) for i in range(5)]
    lines = b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples)
    (tmp_path / "test.jsonl").write_bytes(lines)

    def arguments(url: str) -> list[str]:
        values = zip(NAMES, (url, url, "key", "admin"), strict=True)
        (tmp_path / "var").mkdir()
        (tmp_path / "schemas").mkdir()
        (tmp_path / "schemas/assist.json").write_text("{}")
        text = "\n".join(f"{name}={value}" for name, value in values)
        (tmp_path / "var/local.env").write_text(text)
        return ["suite", "--samples", "test.jsonl", "--date", "2031-01-01"]

    return arguments


def test_one_command_asks_judges_reports_and_files(
    at_home: Callable[[str], list[str]],
    serve: Callable[[FakeGateway], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    gateway = FakeGateway(lambda _conversation, _generator: delivered("ok", ("kb-0",)))
    arguments = at_home(serve(gateway))
    assert main([*arguments, "--results", "docs/results.md", "--file"]) == 3
    printed = capsys.readouterr()
    assert "| citation " in printed.out
    assert "lora_pref: 5 of 5" in printed.err
    assert "2031-01-01" in Path("docs/results.md").read_text()
    assert len(gateway.asked) == 15
    assert [(v["ref"], v["verdict"]) for v in gateway.filed] == [
        ("behav@v1", "inconclusive"),
        ("pref@v1", "inconclusive"),
    ]
    [home] = Path("var/evals").glob("*/report.html")
    verdict = verdicts.decode((home.parent / "verdict-behav@v1.json").read_bytes())
    assert verdict.digest == "ab" * 32
    assert verdict.samples == 5

    assert main([*arguments, "--json"]) == 3
    assert len(gateway.asked) == 15
    read = msgspec.json.decode(capsys.readouterr().out, type=SuiteResult)
    assert len(read.samples) == 5

    assert main([*arguments, "--fresh", "--generators", "lora"]) == 3
    assert len(gateway.asked) == 20

    home.unlink()
    assert main(["report", str(home.parent)]) == 0
    assert "<html" in home.read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--suites", "poetry"], "no poetry; there are behavioural"),
        (["--suites", "redteam"], "no sample is left"),
        (["--gates", "none.toml"], "none.toml: No such file"),
        (["--schema", "none.json"], "name it with --schema"),
        (["--date", "soon"], "2026-11-28 is right"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is(
    at_home: Callable[[str], list[str]],
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    assert main([*at_home("http://127.0.0.1:9"), *more]) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_data_is_made_and_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "suite.jsonl"
    assert main(["data", "--scale", "0.01", "--out", str(made)]) == 0
    assert "locales" in capsys.readouterr().err
    lines = made.read_bytes().splitlines(keepends=True)
    seen = tmp_path / "train.jsonl"
    seen.write_bytes(lines[0].replace(b'"test"', b'"train"'))
    arguments = ["data", "--samples", str(made), "--against", str(seen)]
    assert main(arguments) == 1
    assert "1.000" in capsys.readouterr().out
    purged = tmp_path / "purged.jsonl"
    # Its sentences are still in others: that is said, and not mended by leaving it out.
    assert main([*arguments, "--purge", "--out", str(purged)]) == 1
    assert purged.read_bytes().splitlines(keepends=True) == lines[1:]
    assert main(["data", "--purge", "--out", str(made)]) == 2


def test_a_failed_run_is_one_line_and_an_exit_code_of_its_own(
    at_home: Callable[[str], list[str]],
    serve: Callable[[FakeGateway], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    busy = failed(429, "overloaded")
    reply = Reply(429, busy.body, {"retry-after": "0"})
    gateway = FakeGateway(lambda _conversation, _generator: reply)
    assert main(at_home(serve(gateway))) == 4
    assert "run the same command again" in capsys.readouterr().err
    assert gateway.overrides == {}


def test_a_terminal_shows_a_bar_for_each_generator() -> None:
    console = Console(force_terminal=True, record=True, width=100)
    with shown(console) as watch:
        watch("base", 0, 2)
        watch("base", 2, 2)
    assert "2/2" in console.export_text()
