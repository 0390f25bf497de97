"""OpenSSF model signatures: who vouches for which bytes."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters import bom, card
from adapters.errors import KeyUnfit, PreflightError
from adapters.registry import Registry
from adapters.signature import SIGNATURE, check_signature, sign
from tests.unit.adapters.making import write_adapter


def key_pair(where: Path, name: str) -> tuple[Path, Path]:
    """Make a private and a public key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = where / f"{name}.pem", where / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


def foreign(directory: Path, private: Path) -> None:
    """Sign as `model_signing sign elliptic_key` does."""
    from model_signing import hashing, signing  # noqa: PLC0415 - it is slow to import

    hidden: Any = hashing.Config()
    path = directory / SIGNATURE
    covered = hidden.set_ignored_paths(paths=[path], ignore_git_paths=False)
    config: Any = signing.Config()
    config = config.use_elliptic_key_signer(private_key=private)
    config.set_hashing_config(covered).sign(directory, path)


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """An adapter's directory, and the public key of who has signed it."""
    private, public = key_pair(tmp_path, "ours")
    directory = tmp_path / "made"
    write_adapter(directory)
    card.write(directory)
    bom.write(directory)
    sign(directory, private, "acme-test-lora@v1")
    return directory, public


def refusal(directory: Path, public: Path) -> str:
    with pytest.raises(PreflightError) as caught:
        check_signature(directory, public)
    return str(caught.value)


def test_a_signature_holds_for_the_copy_that_the_registry_makes(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    directory, public = signed
    root = tmp_path / "registry"
    found = Registry(root).add(
        directory, check=lambda stage: check_signature(stage, public)
    )
    check_signature(found.path, public)
    assert (found.path / SIGNATURE).is_file()


def test_a_signature_by_the_library_s_own_tool_holds_as_well(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path, "theirs")
    foreign(signed[0], private)
    check_signature(signed[0], public)


def test_a_signature_states_the_adapter_s_name_and_no_path(
    signed: tuple[Path, Path],
) -> None:
    bundle = json.loads((signed[0] / SIGNATURE).read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    (subject,) = statement["subject"]
    assert subject["name"] == "acme-test-lora@v1"
    assert str(signed[0].parent) not in json.dumps(statement)


def test_signing_again_replaces_the_signature(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path, "theirs")
    sign(signed[0], private, "acme-test-lora@v1")
    check_signature(signed[0], public)


@pytest.mark.parametrize("kind", ["rsa", "public", "none"])
def test_what_is_no_private_key_of_a_curve_does_not_sign(
    signed: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    before = (signed[0] / SIGNATURE).read_bytes()
    path = signed[1] if kind == "public" else tmp_path / "other.pem"
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    elif kind == "none":
        path.write_text("no key")
    with pytest.raises(KeyUnfit, match="expected the PEM of an elliptic-curve"):
        sign(signed[0], path, "acme-test-lora@v1")
    assert (signed[0] / SIGNATURE).read_bytes() == before


def test_a_missing_signature_names_the_key_that_should_have_signed(
    signed: tuple[Path, Path],
) -> None:
    directory, public = signed
    (directory / SIGNATURE).unlink()
    assert "model.sig is missing; expected a signature by the key ours.pub" in refusal(
        directory, public
    )


def test_a_signature_by_another_key_is_refused(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path, "theirs")
    assert "signed by another key than theirs.pub" in refusal(signed[0], public)
    sign(signed[0], private, "acme-test-lora@v1")
    assert "signed by another key than ours.pub" in refusal(*signed)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "bom.json",
        "manifest.json",
        "adapter_config.json",
        "adapter_model.safetensors",
    ],
)
def test_every_file_is_covered(signed: tuple[Path, Path], name: str) -> None:
    path = signed[0] / name
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert name in refusal(*signed)


def test_a_file_too_many_or_too_few_is_refused(signed: tuple[Path, Path]) -> None:
    (signed[0] / "README.md").rename(signed[0] / "README.txt")
    assert "README" in refusal(*signed)


@pytest.mark.parametrize("raw", [b"", b"{", b"{}", b"[]", b"\x00", b'{"a":1}' * 1000])
def test_what_is_no_signature_is_refused_as_such(
    signed: tuple[Path, Path], raw: bytes
) -> None:
    (signed[0] / SIGNATURE).write_bytes(raw)
    assert "model.sig: " in refusal(*signed)


def test_a_statement_that_was_changed_does_not_verify(
    signed: tuple[Path, Path],
) -> None:
    path = signed[0] / SIGNATURE
    text = path.read_text()
    at = text.index('"payload":"') + 60
    changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    path.write_text(changed)
    assert "model.sig: " in refusal(*signed)


def test_a_key_that_is_none_is_refused_in_words(
    signed: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "no.pub").write_text("no key")
    assert "no.pub" in refusal(signed[0], tmp_path / "no.pub")
