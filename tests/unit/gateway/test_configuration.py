"""The configuration: overlaid, frozen, refused with the key's path."""

from pathlib import Path

import pytest

from gateway.configuration import load
from gateway.errors import SettingsError
from gateway.settings import Settings

KEY = "a" * 64
OTHER = "b" * 64
MINIMAL = f"""
[admin]
key_sha256 = ["alice={KEY}"]
[surfaces.assist]
schema = "schemas/assist.json"
[tenants.acme]
key_sha256 = ["{OTHER}"]
surfaces = ["assist"]
"""


def loaded(tmp_path: Path, text: str, *more: str, **environ: str) -> Settings:
    paths: list[Path] = []
    for number, each in enumerate((text, *more)):
        path = tmp_path / f"{number}.toml"
        path.write_text(each)
        paths.append(path)
    return load(paths, environ)


def refusal(tmp_path: Path, text: str, *more: str, **environ: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text, *more, **environ)
    return caught.value


def test_a_minimal_file_gives_the_documented_defaults(tmp_path: Path) -> None:
    settings = loaded(tmp_path, MINIMAL)
    assert settings.gateway.listen == "127.0.0.1:8080"
    assert settings.flag.default == "base"
    assert settings.engine.timeouts.first_token == 30.0
    assert settings.tenants["acme"].keep == "none"


def test_a_later_file_is_laid_over_an_earlier_one(tmp_path: Path) -> None:
    overlay = '[engine]\nreplicas = ["http://127.0.0.1:9000"]'
    settings = loaded(tmp_path, MINIMAL, overlay)
    assert settings.engine.replicas == ("http://127.0.0.1:9000",)
    assert settings.tenants["acme"].surfaces == ("assist",)


def test_a_schema_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    schema = loaded(tmp_path, MINIMAL).surfaces["assist"].schema
    assert schema == str(tmp_path / "schemas/assist.json")


def test_the_environment_overrides_the_flags_default(tmp_path: Path) -> None:
    assert loaded(tmp_path, MINIMAL, GENERATOR="lora").flag.default == "lora"


def test_a_wrong_generator_in_the_environment_is_refused(tmp_path: Path) -> None:
    assert "flags" in refusal(tmp_path, MINIMAL, GENERATOR="turbo").path


@pytest.mark.parametrize(
    ("addition", "path", "hint"),
    [
        ("[gateway]\nworker = 2", "gateway", "worker"),
        ("[gateway]\nlisten = 8080", "gateway.listen", "str"),
        ("[gateway]\nworkers = 0", "gateway.workers", ">= 1"),
        ("[engine]\nreplicas = []", "engine.replicas", "length"),
        ('[engine]\nreplicas = ["localhost"]', "engine.replicas[0]", "regex"),
        ('[engine]\nbase = "../x"', "engine.base", "@"),
        ('[generators]\nlora = "/etc/passwd"', "generators.lora", "@v"),
        ("[flags.GENERATOR]\nlora = 10001", "flags", "10000"),
        (
            "[flags.GENERATOR]\nlora = 6000\nlora_pref = 6000",
            "flags.GENERATOR",
            "12000",
        ),
        ('[tenants.b]\nsurfaces = ["x"]', "tenants.b.surfaces", "assist"),
        ("[surfaces.auto]", "surfaces.auto", "reserved"),
        ('[surfaces.s]\nmode = "constrained"', "surfaces.s.mode", "schema"),
        ('[surfaces.s]\nstream = "now"', "surfaces", "now"),
        (
            '[surfaces.assist]\nmode = "constrained"\nlast_resort = "constrained"',
            "surfaces.assist.last_resort",
            "no use",
        ),
        (f'[tenants.b]\nkey_sha256 = ["{OTHER}"]', "tenants", "twice"),
        ("[limits]\ndefault_max_tokens = 5000", "limits.default_max_tokens", "exceed"),
        ('[tenants.acme]\nkeep = "some"', "tenants", "some"),
        ("[tenants.acme]\nkeep = true", "tenants", "str"),
        ("[keep]\nrecord_bytes = 10", "keep.record_bytes", "1024"),
        ("[keep]\nfile_bytes = 30000", "keep", "file_bytes"),
        ("[keep]\ntotal_bytes = 1000000", "keep", "total_bytes"),
        ("[keep]\ndays = 0", "keep.days", ">= 1"),
        ('[keep]\ndirectory = ""', "keep.directory", "length"),
        ("[keep]\nforever = true", "keep", "forever"),
        ("[gateway", "toml", "TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_path(
    tmp_path: Path, addition: str, path: str, hint: str
) -> None:
    error = refusal(tmp_path, MINIMAL, addition)
    assert path in error.path
    assert hint in error.message


@pytest.mark.parametrize("table", ["admin", "tenants"])
def test_without_keys_nothing_starts(tmp_path: Path, table: str) -> None:
    kept = f'[admin]\nkey_sha256 = ["{KEY}"]' if table == "tenants" else ""
    error = refusal(tmp_path, kept)
    assert table in error.path
    assert "wastegate key new" in error.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load([tmp_path / "none.toml"], {})
