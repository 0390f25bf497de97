import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from adapters.errors import TensorFileError
from adapters.safetensors import LONGEST_HEADER, read_header
from tests.unit.adapters import making


def _read(path: Path, raw: bytes) -> TensorFileError | None:
    path.write_bytes(raw)
    try:
        read_header(path)
    except TensorFileError as error:
        return error
    return None


def _entry(start: int, end: int, dtype: str = "F32", shape: object = None) -> object:
    shape = [(end - start) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_tensors_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(making.pack({"b": _entry(4, 8), "a": _entry(0, 4)}, b"\0" * 8))
    assert [tensor.name for tensor in read_header(path)] == ["a", "b"]


def test_offsets_count_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(making.safetensors([("a", "F32", [1], b"abcd")]))
    (tensor,) = read_header(path)
    assert path.read_bytes()[tensor.start : tensor.end] == b"abcd"


_BROKEN = [
    (b"", "0 bytes"),
    (b"1234567", "7 bytes"),
    (struct.pack("<Q", 100) + b"{}", "should have 100 bytes, the file has 2"),
    (struct.pack("<Q", 2**64 - 1) + b"{}", "at most"),
    (making.pack(b" " * (LONGEST_HEADER + 1)), "at most"),
    (making.pack(b""), "begin with"),
    (making.pack(b"[]"), "begin with"),
    (making.pack(b"\x80\x02}q"), "begin with"),
    (making.pack(b'{"a":'), "not JSON"),
    (making.pack(b'{"a":"\xff"}'), "not JSON"),
    (making.pack(b'{"a":NaN}'), "not JSON"),
    (making.pack(b'{"a":' + b"[" * 500_000), "nested too deeply"),
    (making.pack(b'{"a":1' + b"0" * 5000 + b"}"), "not JSON"),
    (making.pack(b'{"a":{},"a":{}}'), "'a' stands twice"),
    (making.pack({"a": 1}), "'a'"),
    (making.pack({"a": {"dtype": "F32"}}), "'a'"),
    (making.pack({"a": {**making.ADAPTER_CONFIG}}), "'a'"),
    (making.pack({"a": _entry(0, 4, shape=[True])}, b"abcd"), "bool"),
    (making.pack({"a": _entry(0, 4, shape=[-1])}, b"abcd"), ">= 0"),
    (making.pack({"a": _entry(0, 4, shape=[1] * 9)}, b"abcd"), "length <= 8"),
    (making.pack({"a": _entry(0, 4, "F33")}, b"abcd"), "unknown dtype"),
    (making.pack({"a": _entry(0, 8)}, b"abcd"), "leave the 4 bytes"),
    (making.pack({"a": _entry(4, 0, shape=[1])}, b"abcd"), "leave the 4 bytes"),
    (making.pack({"a": _entry(0, 4, shape=[2])}, b"abcd"), "need 8"),
    (making.pack({"a": _entry(0, 4, shape=[2**62, 4])}, b"abcd"), "need"),
    (
        making.pack({"a": _entry(0, 8), "b": _entry(4, 8)}, b"\0" * 8),
        "'b' overlaps",
    ),
    (
        making.pack({"a": _entry(0, 4), "b": _entry(0, 4)}, b"abcd"),
        "'b' overlaps",
    ),
    (
        making.pack({"a": _entry(0, 4), "b": _entry(8, 12)}, b"\0" * 12),
        "4 stray bytes before 'b'",
    ),
    (making.pack({"a": _entry(0, 4)}, b"abcd+"), "1 stray bytes after"),
]


@pytest.mark.parametrize(("raw", "message"), _BROKEN, ids=range(len(_BROKEN)))
def test_a_file_that_breaks_the_format_is_refused_with_the_breach(
    tmp_path: Path, raw: bytes, message: str
) -> None:
    error = _read(tmp_path / "x.safetensors", raw)
    assert error is not None
    assert message in str(error)


def test_all_breaches_of_a_file_are_listed(tmp_path: Path) -> None:
    header = {"a": _entry(0, 4, "F33"), "b": _entry(0, 400)}
    error = _read(tmp_path / "x.safetensors", making.pack(header, b"abcd"))
    assert error is not None
    assert any("'a'" in problem for problem in error.problems)
    assert any("'b'" in problem for problem in error.problems)


@making.PATIENT
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_never_crash(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.safetensors"
    _read(path, raw)
    _read(path, making.pack(raw))


_SMALL = st.integers(-2, 20)
_ENTRIES = st.dictionaries(
    st.sampled_from("abc"),
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "U8", "?"]),
            "shape": st.lists(_SMALL, max_size=3),
            "data_offsets": st.tuples(_SMALL, _SMALL),
        }
    ),
    max_size=3,
)


@making.PATIENT
@given(_ENTRIES, st.integers(0, 20))
def test_accepted_tensors_tile_the_file_whatever_the_header_says(
    tmp_path_factory: pytest.TempPathFactory, header: dict[str, object], size: int
) -> None:
    path = tmp_path_factory.mktemp("tiles") / "x.safetensors"
    raw = making.pack(header, b"\0" * size)
    path.write_bytes(raw)
    try:
        tensors = read_header(path)
    except TensorFileError:
        return
    at = 8 + len(json.dumps(header).encode())
    for tensor in tensors:
        assert tensor.start == at
        at = tensor.end
    assert at == len(raw)
