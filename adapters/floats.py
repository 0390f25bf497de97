"""Facts about arrays of floats that can be seen in their bytes alone.

A float is infinite or no number when its exponent is all ones, and zero when
everything but its sign is zero (IEEE 754; bfloat16 is the upper half of a
float32). Both are questions about single bytes, which `bytes.translate` and
integers of any length answer at the speed of C: 10 MB take hundredths of a
second, without a library for arrays.
"""

from typing import Final, NamedTuple


class _Layout(NamedTuple):
    size: int
    high: int
    """The exponent's bits in the last (highest) byte."""
    low: int
    """The exponent's bits in the byte before it; 0 when there are none."""


_LAYOUTS: Final = {
    "F32": _Layout(4, 0x7F, 0x80),
    "BF16": _Layout(2, 0x7F, 0x80),
    "F16": _Layout(2, 0x7C, 0x00),
}


def _marks(mask: int) -> bytes:
    """Map a byte to 1 when it has all bits of a mask, else to 0."""
    return bytes(int(value & mask == mask) for value in range(256))


_MARKS: Final = {mask: _marks(mask) for mask in (0x7F, 0x80, 0x7C)}
_UNSIGNED: Final = bytes(value & 0x7F for value in range(256))


def count_non_finite(data: bytes, dtype: str) -> int:
    """Count NaN and infinite values in little-endian floats.

    Args:
        data: whole elements.
        dtype: F32, BF16 or F16.
    """
    layout = _LAYOUTS[dtype]
    marked = int.from_bytes(
        data[layout.size - 1 :: layout.size].translate(_MARKS[layout.high])
    )
    if layout.low and marked:
        before = data[layout.size - 2 :: layout.size].translate(_MARKS[layout.low])
        marked &= int.from_bytes(before)
    return marked.bit_count()


def is_all_zero(data: bytes, dtype: str) -> bool:
    """Tell whether each element is 0.0 or -0.0; true for no elements."""
    size = _LAYOUTS[dtype].size
    if data[size - 1 :: size].translate(_UNSIGNED).strip(b"\0"):
        return False
    return not any(data[at::size].strip(b"\0") for at in range(size - 1))
