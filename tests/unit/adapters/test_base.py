from pathlib import Path

import pytest

from adapters.base import load_base, seal_base, verify_base
from adapters.errors import ManifestError
from adapters.refs import BaseRef


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_a_sealed_base_reads_back_and_holds(model: Path) -> None:
    record = seal_base(model, BaseRef("m@1.0"), "a package", "python -m training base")
    assert load_base(model) == record
    assert record.path.is_absolute()
    verify_base(record)


def test_sealing_a_base_again_gives_the_same_digest(model: Path) -> None:
    first = seal_base(model, BaseRef("m@1.0"), "here", "make it")
    assert seal_base(model, BaseRef("m@1.0"), "there", "again").digest == first.digest


def test_a_changed_base_does_not_verify(model: Path) -> None:
    record = seal_base(model, BaseRef("m@1.0"), "here", "make it")
    (model / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ManifestError, match="prepare it again"):
        verify_base(record)


def test_a_directory_without_record_is_no_base(model: Path) -> None:
    with pytest.raises(ManifestError, match=r"base\.json: missing"):
        load_base(model)


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"ref":"m@v1"}', b'{"ref":"\xff"}'])
def test_a_broken_record_is_refused(model: Path, raw: bytes) -> None:
    (model / "base.json").write_bytes(raw)
    with pytest.raises(ManifestError, match=r"base\.json"):
        load_base(model)
