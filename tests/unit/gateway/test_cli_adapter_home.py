"""Between this machine's registry and a home, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.base import seal_base
from adapters.manifest import BaseModel
from adapters.refs import AdapterRef, BaseRef
from adapters.registry import Registry
from gateway.__main__ import main
from tests.unit.adapters import making
from tests.unit.adapters.test_signature import key_pair, sign

REF = AdapterRef("acme-test-lora@v1")
BASE = BaseRef("smollm2-135m-instruct@1.0")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture(autouse=True)
def digest(tmp_path: Path) -> str:
    """A base model, and an adapter of it in the registry; the adapter's digest."""
    model = tmp_path / "var/models" / BASE
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps(making.BASE_CONFIG))
    base = BaseModel(BASE, seal_base(model, BASE, "", "").digest)
    making.write_adapter(tmp_path / "made", facts=making.run(base=base))
    return Registry(tmp_path / "var/adapters").add(tmp_path / "made").digest


def test_what_was_pushed_is_pulled_into_another_registry(
    run: Run, digest: str, tmp_path: Path
) -> None:
    code, out, _ = run("adapter", "push", REF, "share", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"ref": REF, "digest": digest, "home": "share"},
    )
    code, out, _ = run("adapter", "pull", REF, "share", "--registry", "other")
    assert (code, digest in out) == (0, True)
    assert Registry(tmp_path / "other").verify(REF).digest == digest


def test_pulling_again_is_no_change(run: Run, tmp_path: Path) -> None:
    run("adapter", "push", REF, "share")
    for _ in range(2):
        assert run("adapter", "pull", REF, "share")[0] == 0
    assert Registry(tmp_path / "var/adapters").refs() == (REF,)


def test_a_ref_that_the_home_does_not_have_says_what_it_has(run: Run) -> None:
    run("adapter", "push", REF, "share")
    code, _, err = run("adapter", "pull", "acme-test-lora@v2", "share")
    assert code == 1
    assert f"share: acme-test-lora@v2 is not registered; registered are: {REF}" in err


def test_a_ref_that_is_not_registered_is_not_pushed(run: Run, tmp_path: Path) -> None:
    code, _, err = run("adapter", "push", "acme-test-lora@v2", "share")
    assert (code, f"registered are: {REF}" in err) == (1, True)
    assert not (tmp_path / "share").exists()


def test_what_does_not_fit_the_base_is_pulled_and_not_registered(
    run: Run, tmp_path: Path
) -> None:
    making.write_adapter(tmp_path / "odd", facts=making.run("acme-odd@v1"))
    Registry(tmp_path / "elsewhere").add(tmp_path / "odd")
    push = ("adapter", "push", "acme-odd@v1", "share", "--registry", "elsewhere")
    assert run(*push)[0] == 0
    code, _, err = run("adapter", "pull", "acme-odd@v1", "share")
    assert code == 1
    assert "the base that is served has" in err
    assert Registry(tmp_path / "var/adapters").refs() == (REF,)


def test_without_the_base_nothing_is_registered(run: Run, tmp_path: Path) -> None:
    run("adapter", "push", REF, "share")
    pull = ("adapter", "pull", REF, "share", "--registry", "other")
    code, _, err = run(*pull, "--models", "nowhere")
    assert (code, "--models" in err) == (1, True)
    assert Registry(tmp_path / "other").refs() == ()


def test_other_bytes_under_a_ref_are_refused_in_both_directions(
    run: Run, tmp_path: Path
) -> None:
    making.write_adapter(tmp_path / "again", facts=making.run(seed=8))
    Registry(tmp_path / "other").add(tmp_path / "again")
    assert run("adapter", "push", REF, "share")[0] == 0
    code, _, err = run("adapter", "push", REF, "share", "--registry", "other")
    assert (code, "cannot become" in err, "compare their cards" in err) == (1, 1, 1)
    code, _, err = run("adapter", "pull", REF, "share", "--registry", "other")
    assert code == 1


def test_a_damaged_home_is_told_with_what_mends_it(run: Run, tmp_path: Path) -> None:
    run("adapter", "push", REF, "share")
    (weights,) = (tmp_path / "share").glob("blobs/*/adapter_model.safetensors")
    weights.write_bytes(b"")
    code, _, err = run("adapter", "pull", REF, "share", "--registry", "other")
    assert (code, "→ push it again" in err) == (1, True)
    assert Registry(tmp_path / "other").refs() == ()
    assert run("adapter", "push", REF, "share")[0] == 0
    assert run("adapter", "pull", REF, "share", "--registry", "other")[0] == 0


def test_no_ref_is_bad_usage_and_no_home_a_failure(run: Run) -> None:
    assert run("adapter", "push", "../x", "share")[0] == 2
    code, _, err = run("adapter", "push", REF, "gs://models")
    assert (code, "s3://BUCKET/PREFIX" in err) == (1, True)


def test_the_hub_is_told_how_to_be_pushed_to(run: Run) -> None:
    code, _, err = run("adapter", "push", REF, "hf://acme/lora")
    assert (code, "hf upload acme/lora" in err) == (1, True)


def test_a_disk_that_refuses_leaves_nothing_registered(
    run: Run, tmp_path: Path
) -> None:
    run("adapter", "push", REF, "share")
    (tmp_path / "file").write_text("")
    code, _, err = run("adapter", "pull", REF, "share", "--registry", "file")
    assert (code, "nothing was registered" in err) == (1, True)


def test_a_signature_comes_along_and_is_asked_for_where_it_is_pulled(
    run: Run, tmp_path: Path
) -> None:
    ours, public = key_pair(tmp_path, "ours")
    _, strange = key_pair(tmp_path, "strange")
    sign(tmp_path / "made", ours, REF)
    Registry(tmp_path / "signed").add(tmp_path / "made")
    assert run("adapter", "push", REF, "share", "--registry", "signed")[0] == 0
    pull = ("adapter", "pull", REF, "share", "--registry", "other", "--key")
    code, _, err = run(*pull, str(strange))
    assert (code, "signed by another key than strange.pub" in err) == (1, True)
    assert Registry(tmp_path / "other").refs() == ()
    assert run(*pull, str(public))[0] == 0


def test_an_unsigned_adapter_is_not_pulled_or_added_where_a_key_is_asked_for(
    run: Run, tmp_path: Path
) -> None:
    _, public = key_pair(tmp_path, "ours")
    run("adapter", "push", REF, "share")
    for command in (("pull", REF, "share"), ("add", "made")):
        code, _, err = run(
            "adapter", *command, "--registry", "other", "--key", str(public)
        )
        assert (code, "model.sig is missing" in err) == (1, True)
    assert Registry(tmp_path / "other").refs() == ()
