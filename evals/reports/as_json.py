"""A result as JSON and back, losslessly: every report can be made again from it."""

from pathlib import Path
from typing import Final

import msgspec

from evals.errors import SetupError
from evals.result import SuiteResult

FILE: Final = "result.json"


def encode(result: SuiteResult) -> bytes:
    """Everything, for programs.

    Raises:
        ValueError: a figure is not finite; JSON has no such number, and a nought or a
            null in its place would be another result.
    """
    raw = msgspec.json.encode(result)
    try:
        found = msgspec.json.decode(raw, type=SuiteResult)
    except msgspec.ValidationError as error:
        raise ValueError(f"this result cannot be read back: {error}") from error
    if found != result:
        raise ValueError("this result is another when read back; is a figure a NaN?")
    return raw + b"\n"


def load(path: Path) -> SuiteResult:
    """Read what `encode` wrote.

    Raises:
        SetupError: naming the file, and the field where one is wrong.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=SuiteResult)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: not the result of a suite: {error}") from error
