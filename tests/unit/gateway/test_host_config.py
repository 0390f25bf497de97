"""Addresses, overlays, keys and command lines of the stack."""

import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from gateway.host import children, keys, trial
from gateway.host.config import (
    StackConfig,
    SurfaceSection,
    load,
    merge,
    port_of,
    reachable,
    without_slash,
)
from gateway.host.errors import ConfigError
from gateway.host.layout import Layout, write_atomically

TEXT = """
[engine]
replicas = ["http://127.0.0.1:8123"]
[tenants.other]
[tenants.acme]
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.make_directories()
    return made


@pytest.fixture
def config(tmp_path: Path) -> StackConfig:
    return configured(tmp_path, TEXT)


def configured(tmp_path: Path, text: str) -> StackConfig:
    path = tmp_path / "wastegate.toml"
    path.write_text(text)
    return load((path,))


def test_acme_gets_the_local_key_or_else_the_first_tenant(tmp_path: Path) -> None:
    assert configured(tmp_path, TEXT).tenant == "acme"
    assert configured(tmp_path, TEXT.replace("acme", "zeta")).tenant == "other"


def test_tables_merge_and_everything_else_is_replaced() -> None:
    below = {"a": {"x": [1, 2], "y": 1}, "b": 1}
    over = {"a": {"x": [3]}, "c": 2}
    assert merge(below, over) == {"a": {"x": [3], "y": 1}, "b": 1, "c": 2}


@pytest.mark.parametrize(
    ("address", "port"),
    [("127.0.0.1:8080", 8080), ("http://h:1", 1), ("http://h", 80), ("[::1]:5", 5)],
)
def test_a_port_is_found_in_addresses_and_urls(address: str, port: int) -> None:
    assert port_of(address) == port


@pytest.mark.parametrize("address", ["localhost", "h:x", "http://h:99999", ""])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no port"):
        port_of(address)


def test_an_address_to_listen_on_everywhere_is_reached_on_loopback() -> None:
    assert reachable("0.0.0.0:8080") == "127.0.0.1:8080"
    assert reachable("10.0.0.1:8080") == "10.0.0.1:8080"


@pytest.mark.parametrize(
    "url", ["h:8000", "ftp://h", "http://", "http://h/v1", "http://h:x"]
)
def test_an_engine_url_is_a_bare_http_address(url: str) -> None:
    with pytest.raises(ConfigError, match="ENGINE_URL"):
        without_slash(url)


def test_an_engine_url_loses_its_slash() -> None:
    assert without_slash("http://h:8000/") == "http://h:8000"


@pytest.mark.parametrize(
    ("cpus", "text"),
    [({0, 1}, "0-1"), ({0}, "0"), ({0, 2, 3, 7}, "0,2-3,7"), (range(16), "0-15")],
)
def test_cpus_are_written_as_ranges(cpus: set[int], text: str) -> None:
    assert children.cpu_list(cpus) == text


@given(st.sets(st.integers(0, 300), min_size=1))
def test_cpu_ranges_name_exactly_the_cpus(cpus: set[int]) -> None:
    named: set[int] = set()
    for part in children.cpu_list(cpus).split(","):
        first, _, last = part.partition("-")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == cpus


def test_the_engine_is_bound_to_loopback_and_to_its_port(
    layout: Layout, config: StackConfig
) -> None:
    argv = children.engine(layout, config).argv
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--port") + 1] == "8123"


def test_the_overlay_names_hashes_and_no_keys(
    layout: Layout, config: StackConfig
) -> None:
    kept = keys.ensure(layout, config, "http://h:1")
    text = layout.overlay.read_text()
    over = msgspec.toml.decode(text)
    assert over["admin"]["key_sha256"] == [f"local={keys.sha256(kept.admin)}"]
    assert over["tenants"]["acme"]["key_sha256"] == [keys.sha256(kept.tenant)]
    assert over["engine"]["replicas"] == ["http://h:1"]
    assert kept.tenant not in text
    assert kept.admin not in text


def test_keys_are_made_once(layout: Layout, config: StackConfig) -> None:
    first = keys.ensure(layout, config, None)
    assert keys.ensure(layout, config, "http://h:1") == first
    assert keys.load(layout) == first


def test_a_damaged_key_file_is_replaced_whole(
    layout: Layout, config: StackConfig
) -> None:
    first = keys.ensure(layout, config, None)
    layout.env_file.write_text(f"WASTEGATE_KEY={first.tenant}\nWASTEGATE_ADM")
    second = keys.ensure(layout, config, None)
    assert second.admin != first.admin
    assert keys.load(layout) == second


def test_a_private_file_is_private_even_over_a_public_one(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("public")
    write_atomically(path, b"private", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"private"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_the_plans_digest_changes_with_what_a_restart_is_needed_for(
    layout: Layout, config: StackConfig, tmp_path: Path
) -> None:
    paths = (tmp_path / "wastegate.toml",)

    def digest(overlay: bytes = b"", engine_url: str | None = None) -> str:
        made = children.plan(
            layout, config, paths, overlay=overlay, engine_url=engine_url
        )
        return made.digest

    digests = {digest(), digest(b"x"), digest(engine_url="http://h:1")}
    paths[0].write_text(TEXT + "# changed\n")
    assert len(digests | {digest()}) == 4


def test_no_engine_is_run_here_for_a_replica_elsewhere(
    layout: Layout, tmp_path: Path
) -> None:
    remote = configured(tmp_path, TEXT.replace("127.0.0.1", "10.1.1.1"))
    plan = children.plan(layout, remote, (), overlay=b"", engine_url=None)
    assert [child.name for child in plan.children] == ["gateway"]


def test_the_trial_lines_name_the_two_planes(config: StackConfig) -> None:
    ask, flip, answer = trial.lines(config)
    assert ask.endswith("http://127.0.0.1:8080/v1/models")
    assert answer.endswith("http://127.0.0.1:8080/v1/assist")
    assert flip.endswith("http://127.0.0.1:8081/admin/v1/overrides/acme")
    assert all(line.startswith("curl ") for line in (ask, answer, flip))


def test_a_surface_that_answers_as_the_assistant_does_gets_questions(
    layout: Layout, config: StackConfig
) -> None:
    surfaces = {
        "assist": SurfaceSection(schema="schemas/assist.json"),
        "own": SurfaceSection(schema="schemas/assist.json", probes="own.jsonl"),
        "email": SurfaceSection(),
    }
    asked = msgspec.structs.replace(config, surfaces=surfaces)
    keys.ensure(layout, asked, None)
    over = msgspec.toml.decode(layout.overlay.read_text())
    assert over["surfaces"] == {"assist": {"probes": "probes/assist.jsonl"}}
