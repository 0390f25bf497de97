"""Who vouches for an adapter: an OpenSSF model signature over all its other files.

The file `model.sig` is a Sigstore bundle as `model_signing sign elliptic_key` writes it.
Only signatures by a key are taken: they are checked without a network.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from adapters.errors import KeyUnfit, PreflightError
from adapters.files import write_atomic

SIGNATURE: Final = "model.sig"


def sign(directory: Path, private_key: Path, name: str) -> None:
    """Write `model.sig` over all other files of an adapter's directory.

    Args:
        directory: whole but for the signature; one that is there is replaced.
        private_key: PEM of an elliptic-curve private key without a password.
        name: of the adapter; the signature states it, and no check relies on it.

    Raises:
        KeyUnfit: the key cannot be used.
        OSError: the key cannot be read, or the disk refuses.
    """
    from model_signing import hashing, signing  # noqa: PLC0415 - slow, as below

    config = signing.Config()
    try:
        config.use_elliptic_key_signer(private_key=private_key)  # pyright: ignore[reportUnknownMemberType] -- its PathLike has no parameter
    except OSError:
        raise
    # Whatever reads the PEM raises its own: a key that cannot sign is the one cause.
    except Exception as error:
        raise KeyUnfit(private_key.name, str(error)) from error
    with tempfile.TemporaryDirectory() as scratch:
        # The library names the model after its directory, and follows no links; what
        # is being published does not have its name yet.
        copy = Path(scratch) / name
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns(SIGNATURE))
        covered = hashing.Config().set_ignored_paths(  # pyright: ignore[reportUnknownMemberType] -- as above
            paths=[copy / SIGNATURE], ignore_git_paths=False
        )
        config.set_hashing_config(covered).sign(copy, copy / SIGNATURE)  # pyright: ignore[reportUnknownMemberType] -- as above
        write_atomic(directory / SIGNATURE, (copy / SIGNATURE).read_bytes())


def check_signature(directory: Path, public_key: Path) -> None:
    """Check that the holder of a key has signed exactly the files that are here.

    Args:
        directory: an adapter's directory that nobody else writes to.
        public_key: PEM of an elliptic-curve public key.

    Raises:
        PreflightError: no signature, another key's, or one over other files.
    """
    if not (directory / SIGNATURE).is_file():
        expected = f"expected a signature by the key {public_key.name}"
        raise PreflightError([f"{SIGNATURE} is missing; {expected}"])
    if why := _mismatch(directory, public_key):
        raise PreflightError([f"{SIGNATURE}: {why}"])


def _mismatch(directory: Path, public_key: Path) -> str:
    # Importing it takes most of a second and brings 20 packages: only who demands
    # signatures pays for it.
    from model_signing import hashing, verifying  # noqa: PLC0415 - as said

    signature = directory / SIGNATURE
    covered = hashing.Config().set_ignored_paths(  # pyright: ignore[reportUnknownMemberType] -- its PathLike has no parameter
        paths=[str(signature)], ignore_git_paths=False
    )
    config = verifying.Config().set_hashing_config(covered)
    key = str(public_key)
    try:
        config.use_elliptic_key_verifier(public_key=key).verify(directory, signature)  # pyright: ignore[reportUnknownMemberType] -- as above
    except ValueError as error:
        if "Key mismatch" in str(error):
            return f"signed by another key than {public_key.name}"
        return f"does not verify with the key {public_key.name}: {error}"
    except Exception as error:  # noqa: BLE001 - a bundle is anybody's bytes, and the library raises whatever its parsers do: KeyError, InvalidSignature, DecodeError
        return f"is no signature: {type(error).__name__} {error}"
    return ""
