import math
import struct

import pytest
from hypothesis import given, strategies as st

from adapters.floats import count_non_finite, is_all_zero
from tests.unit.adapters import making


def _unpack(data: bytes, dtype: str) -> list[float]:
    if dtype == "BF16":
        halves = [data[at : at + 2] for at in range(0, len(data), 2)]
        data = b"".join(b"\0\0" + half for half in halves)
    letter, size = ("e", 2) if dtype == "F16" else ("f", 4)
    return list(struct.unpack(f"<{len(data) // size}{letter}", data))


_EDGES = st.sampled_from(
    [
        bytes.fromhex("0000807f"),
        bytes.fromhex("000080ff"),
        bytes.fromhex("0100807f"),
        bytes.fromhex("ffff7f7f"),
        bytes.fromhex("007c00fc"),
        bytes.fromhex("017cff7b"),
        bytes.fromhex("00000080"),
        bytes.fromhex("00000000"),
        bytes.fromhex("01000000"),
    ]
)


@making.PATIENT
@given(
    st.lists(st.binary(min_size=4, max_size=4) | _EDGES, max_size=8).map(b"".join),
    st.sampled_from(["F32", "BF16", "F16"]),
)
def test_bytes_show_the_same_as_the_values(data: bytes, dtype: str) -> None:
    values = _unpack(data, dtype)
    assert count_non_finite(data, dtype) == sum(not math.isfinite(x) for x in values)
    assert is_all_zero(data, dtype) == all(x == 0 for x in values)


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_megabytes_of_finite_values_hold_nothing_else(dtype: str) -> None:
    data = struct.pack("<f", 1.5) * 500_000
    assert count_non_finite(data, dtype) == 0
    assert not is_all_zero(data, dtype)
