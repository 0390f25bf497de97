"""The script that fills compose's volumes before the stack starts."""

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adapters.registry import Registry
from tests.unit.adapters import making

SCRIPT = Path(__file__).parents[3] / "images/gateway/prepare.py"


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[[Sequence[str]], int]:
    main: Callable[[Sequence[str]], int] = runpy.run_path(str(SCRIPT))["main"]
    places = [
        f"--shipped={tmp_path / 'shipped'}",
        f"--registry={tmp_path / 'registry'}",
        f"--out={tmp_path / 'out'}",
    ]
    (tmp_path / "shipped/one").mkdir(parents=True)
    (tmp_path / "registry").mkdir()
    return lambda more: main([*places, *more])


def test_shipped_adapters_are_registered_and_the_files_generated_each_time_anew(
    tmp_path: Path, prepare: Callable[[Sequence[str]], int]
) -> None:
    manifest = making.write_adapter(tmp_path / "shipped/one")
    for limit in ("2", "30"):
        assert prepare([f"--ttft-p95={limit}"]) == 0
        rules = (tmp_path / "out/prometheus/rules.yml").read_text()
        assert f"wastegate:ttft:p95_5m > {limit}\n" in rules
        assert Registry(tmp_path / "registry").refs() == (manifest.ref,)


def test_what_is_registered_can_be_read_by_another_user(
    tmp_path: Path, prepare: Callable[[Sequence[str]], int]
) -> None:
    manifest = making.write_adapter(tmp_path / "shipped/one")
    assert prepare([]) == 0
    entry = Registry(tmp_path / "registry").get(manifest.ref)
    files = [entry.path, *entry.path.iterdir()]
    assert all(path.stat().st_mode & 0o004 for path in files)
    below = tmp_path / "registry"
    above = [path for path in entry.path.parents if path.is_relative_to(below)]
    assert all(path.stat().st_mode & 0o001 for path in [entry.path, *above])


def test_an_adapter_that_cannot_be_registered_stops_the_start(
    tmp_path: Path,
    prepare: Callable[[Sequence[str]], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "shipped/one/manifest.json").write_text("{}")
    assert prepare([]) == 1
    assert "one cannot be registered" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
