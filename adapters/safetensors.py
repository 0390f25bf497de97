"""The header of a .safetensors file, read without the library.

Eight bytes of length (unsigned, little-endian), that many bytes of JSON, then
the tensors' bytes: https://github.com/huggingface/safetensors#format. The file
comes from outside, so nothing in it is believed: each offset is compared with
the file's real size, and the tensors have to tile the data without a gap.
"""

import itertools
import math
from pathlib import Path
from typing import Annotated, Final

import msgspec

from adapters.errors import TensorFileError
from adapters.jsontext import strict_object

ITEM_SIZE: Final = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one element, by the format's name of the type."""

LONGEST_HEADER: Final = 1 << 20
"""Bytes. 10,000 tensors need less; the format itself allows 100 MB."""

_PREFIX: Final = 8
_DEEPEST: Final = 8
"""Dimensions of one tensor; a LoRA matrix has two."""

_Natural = Annotated[int, msgspec.Meta(ge=0)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dtype: str
    shape: Annotated[tuple[_Natural, ...], msgspec.Meta(max_length=_DEEPEST)]
    data_offsets: tuple[_Natural, _Natural]


class Tensor(msgspec.Struct, frozen=True):
    """Where one tensor lies; `start` and `end` are bytes from the file's begin."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path) -> tuple[Tensor, ...]:
    """Read the tensors that a file holds, in the order of their bytes.

    Raises:
        TensorFileError: the file breaks the format; all breaches are listed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_PREFIX), "little")
        _check_length(length, size)
        raw = file.read(length)
    begin = _PREFIX + length
    return _tensors(_entries(raw), begin, size)


def _check_length(length: int, size: int) -> None:
    if size < _PREFIX:
        raise TensorFileError([f"{size} bytes; a safetensors file has 8 or more"])
    if length > LONGEST_HEADER:
        raise TensorFileError(
            [f"a header of {length} bytes; at most {LONGEST_HEADER} are read"]
        )
    if length > size - _PREFIX:
        raise TensorFileError(
            [f"the header should have {length} bytes, the file has {size - _PREFIX}"]
        )


def _entries(raw: bytes) -> dict[str, _Entry]:
    if not raw.startswith(b"{"):
        raise TensorFileError(["the header does not begin with '{'"])
    try:
        document = strict_object(raw)
    except ValueError as error:
        raise TensorFileError([f"the header is not JSON: {error}"]) from error
    document.pop("__metadata__", None)
    entries: dict[str, _Entry] = {}
    problems: list[str] = []
    for name, value in document.items():
        try:
            entries[name] = msgspec.convert(value, _Entry)
        except msgspec.ValidationError as error:
            problems.append(f"{name!r}: {error}")
    if problems:
        raise TensorFileError(problems)
    return entries


def _tensors(entries: dict[str, _Entry], begin: int, size: int) -> tuple[Tensor, ...]:
    problems = [
        f"{name!r}: {problem}"
        for name, entry in entries.items()
        if (problem := _entry_problem(entry, size - begin))
    ]
    tensors = sorted(
        (
            Tensor(
                name,
                entry.dtype,
                entry.shape,
                begin + entry.data_offsets[0],
                begin + entry.data_offsets[1],
            )
            for name, entry in entries.items()
        ),
        key=lambda tensor: (tensor.start, tensor.end),
    )
    problems.extend(_tiling_problems(tensors, begin, size))
    if problems:
        raise TensorFileError(problems)
    return tuple(tensors)


def _entry_problem(entry: _Entry, room: int) -> str:
    start, end = entry.data_offsets
    item = ITEM_SIZE.get(entry.dtype)
    if item is None:
        return f"unknown dtype {entry.dtype!r}; known are {', '.join(ITEM_SIZE)}"
    if not start <= end <= room:
        return f"offsets {start}..{end} leave the {room} bytes of data"
    needed = math.prod(entry.shape) * item
    if end - start != needed:
        return f"{end - start} bytes; shape and dtype need {needed}"
    return ""


def _tiling_problems(tensors: list[Tensor], begin: int, size: int) -> list[str]:
    problems: list[str] = []
    ends = itertools.chain([begin], (tensor.end for tensor in tensors))
    for before, tensor in zip(ends, tensors, strict=False):
        if tensor.start < before:
            problems.append(f"{tensor.name!r} overlaps the tensor before it")
        elif tensor.start > before:
            problems.append(
                f"{tensor.start - before} stray bytes before {tensor.name!r}"
            )
    last = tensors[-1].end if tensors else begin
    if last < size:
        problems.append(f"{size - last} stray bytes after the last tensor")
    return problems
