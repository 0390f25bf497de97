"""The command line against a control plane in miniature."""

import hashlib
import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from gateway.__main__ import main, parser
from tests.unit.gateway.cli_fakes.control import KEY, Control, ControlServer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server() -> Generator[ControlServer]:
    made = ControlServer()
    yield made
    made.close()


@pytest.fixture
def control(server: ControlServer) -> Control:
    return server.control


@pytest.fixture
def run(
    server: ControlServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WASTEGATE_ADMIN_URL", server.url)
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_the_default_is_set_on_the_version_that_was_read(
    run: Run, control: Control
) -> None:
    code, out, _ = run("flag", "set", "GENERATOR", "lora", "--why", "go")
    assert code == 0
    assert control.flag["default"] == "lora"
    assert control.whys[-1] == "go"
    assert "version 2" in out


def test_a_tenants_override_changes_nothing_else(run: Run, control: Control) -> None:
    assert run("flag", "set", "GENERATOR", "lora", "--tenant", "acme")[0] == 0
    assert control.flag["overrides"] == {"acme": "lora"}
    assert control.flag["default"] == "base"


def test_a_percentage_is_a_weight_in_basis_points(run: Run, control: Control) -> None:
    assert run("flag", "set", "GENERATOR", "lora_pref", "--percent", "2.5%")[0] == 0
    assert (control.flag["lora_pref"], control.flag["default"]) == (250, "base")


def test_a_surface_gets_a_rule_or_a_weight(run: Run, control: Control) -> None:
    run("flag", "set", "GENERATOR", "lora", "--surface", "email")
    assert control.flag["surfaces"] == {"email": {"variant": "lora"}}
    run("flag", "set", "GENERATOR", "lora", "--surface", "email", "--percent", "5")
    run("flag", "set", "GENERATOR", "lora_pref", "--surface", "email", "--percent", "1")
    assert control.flag["surfaces"] == {"email": {"lora": 500, "lora_pref": 100}}


def test_what_was_set_can_be_taken_away(run: Run, control: Control) -> None:
    run("flag", "set", "GENERATOR", "lora", "--surface", "email")
    run("flag", "set", "GENERATOR", "lora", "--tenant", "acme")
    run("flag", "unset", "GENERATOR", "--surface", "email")
    run("flag", "unset", "GENERATOR", "--tenant", "acme", "--why", "over")
    assert (control.flag["surfaces"], control.flag["overrides"]) == ({}, {})
    assert "over" in control.whys


def test_a_change_by_somebody_else_in_between_is_kept(
    run: Run, control: Control
) -> None:
    control.rivals = 3
    code, out, _ = run("flag", "set", "GENERATOR", "lora", "--json")
    assert code == 0
    assert json.loads(out)["version"] == 5


def test_endless_conflicts_are_shown(run: Run, control: Control) -> None:
    control.rivals = 5
    code, _, err = run("flag", "set", "GENERATOR", "lora")
    assert code == 1
    assert "the version is 6" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("base", "--percent", "5"),
        ("lora", "--percent", "5", "--tenant", "acme"),
    ],
)
def test_arguments_that_contradict_each_other_are_bad_usage(
    run: Run, arguments: tuple[str, ...]
) -> None:
    code, _, err = run("flag", "set", "GENERATOR", *arguments)
    assert code == 2
    assert "→" in err


def test_unset_needs_to_know_what(run: Run) -> None:
    assert run("flag", "unset", "GENERATOR")[0] == 2


@pytest.mark.parametrize("percent", ["101", "-1", "five", "0.001", "nan"])
def test_a_percentage_that_is_none_is_bad_usage(run: Run, percent: str) -> None:
    with pytest.raises(SystemExit) as end:
        run("flag", "set", "GENERATOR", "lora", f"--percent={percent}")
    assert end.value.code == 2


def test_weights_beyond_the_whole_are_refused_before_they_are_sent(
    run: Run, control: Control
) -> None:
    run("flag", "set", "GENERATOR", "lora", "--percent", "60")
    code, _, err = run("flag", "set", "GENERATOR", "lora_pref", "--percent", "50")
    assert code == 1
    assert "flag get" in err
    assert control.flag["lora_pref"] == 0


def test_the_flag_is_shown_for_people(run: Run, control: Control) -> None:
    control.flag["overrides"] = {"acme": "lora"}
    control.flag["surfaces"] = {"email": {"lora": 500}}
    control.flag["kills"] = [{"scope": "variant", "name": "lora_pref"}]
    _, out, _ = run("flag", "get", "GENERATOR")
    for part in ("acme", "lora 5 %", "variant", "100 % of the units"):
        assert part in out


def test_a_kill_is_added_listed_and_removed(run: Run, control: Control) -> None:
    assert "tenant  acme" in run("kill", "add", "tenant", "acme")[1]
    assert "acme" in run("kill", "list")[1]
    assert "no kill" in run("kill", "remove", "tenant", "acme")[1]


def test_a_kill_that_is_not_stored_yet_says_so(run: Run, control: Control) -> None:
    control.persisted = False
    assert "not stored yet" in run("kill", "add", "global")[1]


def test_a_kill_names_who_has_it_and_who_has_not(run: Run, control: Control) -> None:
    control.heard = {"acknowledged": ["a:8080"], "stragglers": ["b:8080"]}
    code, out, _ = run("kill", "add", "global")
    assert code == 0
    assert "in force on a:8080" in out
    assert "NOT acknowledged by b:8080" in out


@pytest.mark.parametrize("arguments", [("global", "acme"), ("tenant",)])
def test_a_kill_has_a_name_unless_it_is_global(
    run: Run, arguments: tuple[str, ...]
) -> None:
    assert run("kill", "add", *arguments)[0] == 2


def test_adapters_are_listed_with_their_states(run: Run) -> None:
    _, out, _ = run("adapter", "list")
    for part in ("tune@v1", "lora", "mounted", "inconclusive", "ready", "e:1"):
        assert part in out


def test_an_adapter_that_is_wanted_and_not_registered_is_listed(run: Run) -> None:
    code, out, _ = run("adapter", "list")
    (line,) = [each for each in out.splitlines() if each.startswith("lost@v1")]
    assert code == 0
    assert "down" in line  # so is its replica; what it was when last seen is no news
    assert "ready" not in line


def test_a_mounted_adapter_is_shown(run: Run) -> None:
    code, out, _ = run("adapter", "mount", "tune@v1", "--why", "new", "--json")
    assert code == 0
    assert [each["ref"] for each in json.loads(out)["adapters"]] == ["tune@v1"]


def test_an_unknown_adapter_is_refused_in_words(run: Run) -> None:
    code, _, err = run("adapter", "mount", "other@v1")
    assert code == 1
    assert "other@v1 is not registered" in err


def test_an_unmount_tells_its_steps(run: Run) -> None:
    code, out, _ = run("adapter", "unmount", "tune@v1")
    assert code == 0
    assert "routing_removed" in out


def test_an_unmount_with_something_left_to_do_fails(run: Run, control: Control) -> None:
    control.left_to_do = ["unload from http://e:1"]
    code, out, err = run("adapter", "unmount", "tune@v1")
    assert code == 1
    assert "routing_removed" in out
    assert "unload from http://e:1" in err


def test_a_card_is_printed_as_it_is(run: Run) -> None:
    assert run("adapter", "card", "tune@v1")[1] == "# A card\n"


def test_a_directory_that_is_no_adapter_is_refused(run: Run, tmp_path: Path) -> None:
    code, _, err = run("adapter", "add", str(tmp_path))
    assert code == 1
    assert "is refused" in err


def test_resolve_says_what_and_why(run: Run) -> None:
    _, out, _ = run("resolve", "acme", "c 1/ü", "--surface", "assist")
    assert "SPLIT; unit=c 1/ü" in out


def test_the_audit_log_is_text_and_never_markup(run: Run) -> None:
    _, out, _ = run("audit", "--limit", "1")
    assert "2023-11-14 22:13:20+00:00" in out
    assert "[bold]first[/bold] step" in out


def test_an_empty_audit_log_says_so(run: Run) -> None:
    assert "nothing has been changed" in run("audit", "--limit", "0")[1]


def test_a_new_key_comes_with_its_hash(run: Run) -> None:
    _, out, _ = run("key", "new", "--json")
    made = json.loads(out)
    assert made["sha256"] == hashlib.sha256(made["key"].encode()).hexdigest()


def test_without_a_key_the_command_says_where_it_comes_from(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WASTEGATE_ADMIN_KEY")
    code, _, err = run("audit")
    assert code == 2
    assert "make up" in err


def test_the_local_file_gives_address_and_key(
    run: Run, server: ControlServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WASTEGATE_ADMIN_KEY")
    monkeypatch.delenv("WASTEGATE_ADMIN_URL")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/local.env").write_text(
        f"WASTEGATE_ADMIN_URL={server.url}\nWASTEGATE_ADMIN_KEY={KEY}\n"
    )
    assert run("kill", "list")[0] == 0


def test_a_wrong_key_is_told_with_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", "other")
    code, _, err = run("kill", "list")
    assert code == 1
    assert "WASTEGATE_ADMIN_KEY" in err


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "nonsense", "http://[::", "ftp://x"]
)
def test_where_nobody_answers_the_next_step_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("WASTEGATE_ADMIN_URL", url)
    code, _, err = run("kill", "list")
    assert code == 1
    assert "make up" in err


def test_an_answer_of_another_kind_is_no_traceback(run: Run, control: Control) -> None:
    control.flag["colour"] = "red"
    code, _, err = run("flag", "get", "GENERATOR")
    assert code == 1
    assert "same version" in err


COMMANDS = [
    ["up"],
    ["down"],
    ["doctor"],
    ["serve"],
    ["flag", "get"],
    ["flag", "set"],
    ["flag", "unset"],
    ["kill", "add"],
    ["kill", "remove"],
    ["kill", "list"],
    ["adapter", "list"],
    ["adapter", "mount"],
    ["adapter", "unmount"],
    ["adapter", "card"],
    ["adapter", "add"],
    ["adapter", "verdict"],
    ["resolve"],
    ["audit"],
    ["flag", "export"],
    ["flag", "diff"],
    ["flag", "apply"],
    ["store", "status"],
    ["store", "restore"],
    ["rollout", "start"],
    ["rollout", "list"],
    ["rollout", "status"],
    ["rollout", "pause"],
    ["rollout", "resume"],
    ["rollout", "promote"],
    ["rollout", "rollback"],
    ["rollout", "records"],
    ["rollout", "replay"],
    ["key", "new"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args([*command, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert f"  wastegate {' '.join(command)}" in said
    assert "--json" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("adapter", "--json", "list"),
        ("adapter", "list", "--json"),
        ("doctor", "--json"),
    ],
)
def test_json_may_stand_before_or_after_a_sub_command(
    arguments: tuple[str, ...],
) -> None:
    assert parser().parse_args(arguments).json


def test_json_is_off_unless_it_is_asked_for() -> None:
    assert not parser().parse_args(["adapter", "list"]).json
    assert not parser().parse_args(["doctor"]).json


def test_an_unknown_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args(["nonsense"])
    assert end.value.code == 2
