"""Our operations for vLLM on the CPU, against vLLM's own, on random batches."""

import os
import subprocess
from typing import Final

import msgspec
import pytest

from tests.conftest import ENGINE_PYTHON
from tests.stack import ROOT

SCRIPT: Final = """
import json, torch
import wastegate_engine as ours
from vllm.lora.ops.torch_ops import lora_ops as theirs
torch.manual_seed(2026)
SLOTS, RANK, TRIALS = 4, 16, 100
worst, base, whole = {}, 0.0, 0.0
def note(name, one, other):
    worst[name] = max(worst.get(name, 0.0), float((one - other).abs().max()))
for _ in range(TRIALS):
    hidden, out = torch.randint(8, 600, (2,)).tolist()
    sequences = int(torch.randint(1, 9, ()))
    lengths = torch.randint(1, 20, (sequences,))
    slots = torch.randint(0, SLOTS, (sequences,))
    tokens = int(lengths.sum())
    down, up = torch.randn(SLOTS, 1, RANK, hidden) / 10, torch.randn(SLOTS, 1, out, RANK)
    x, each = torch.randn(tokens, hidden), slots.repeat_interleave(lengths)
    for form in ("bgmv", "sgmv"):
        where = (each,) if form == "bgmv" else (None, lengths, slots, sequences, 20, tokens)
        one = torch.randn(tokens, RANK)
        other = one.clone()
        getattr(theirs, form + "_shrink")(x, down, one, *where, 0.7)
        getattr(ours, form + "_shrink")(x, down, other, *where, 0.7)
        note(form + "_shrink", one, other)
        for add in (True, False):
            for padding in (-3, 0, 3):
                first = torch.randn(tokens, out + padding)
                second = first.clone()
                getattr(theirs, form + "_expand")(one, up, first, *where, add)
                getattr(ours, form + "_expand")(one, up, second, *where, add)
                note(form + "_expand", first, second)
            first = torch.randn(tokens, out + 20)
            second = first.clone()
            getattr(theirs, form + "_expand_slice")(one, up, first, *where, 7, out, add)
            getattr(ours, form + "_expand_slice")(one, up, second, *where, 7, out, add)
            note(form + "_expand_slice", first, second)
    # Some of the batch for the base: its rows stay, the others are as without it.
    each = torch.where(torch.rand(tokens) < 0.5, -1, each)
    before = torch.randn(tokens, out)
    y, middle = before.clone(), torch.randn(tokens, RANK)
    ours.bgmv_shrink(x, down, middle, each, 1.0)
    ours.bgmv_expand(middle, up, y, each, True)
    nobody = each < 0
    if bool(nobody.any()):
        base = max(base, float((y - before)[nobody].abs().max()))
        base = max(base, float(middle[nobody].abs().max()))
    for row in torch.nonzero(~nobody).flatten().tolist():
        slot = int(each[row])
        right = before[row] + up[slot, 0] @ (down[slot, 0] @ x[row])
        whole = max(whole, float((y[row] - right).abs().max()))
print(json.dumps({"worst": worst, "base": base, "whole": whole}))
"""
TOLERANCE: Final = 1e-4
"""Sums of some hundred products of size one, in float32, in another order."""


class Seen(msgspec.Struct, frozen=True):
    """Largest differences."""

    worst: dict[str, float]
    """By operation, from vLLM's own."""
    base: float
    """In the base's rows, from what was there."""
    whole: float
    """In the others, from plain products."""


@pytest.fixture(scope="module")
def seen() -> Seen:
    ran = subprocess.run(  # noqa: S603 -- an environment of ours
        [str(ENGINE_PYTHON), "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(ROOT / "images" / "engine")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return msgspec.json.decode(ran.stdout.splitlines()[-1], type=Seen)


def test_each_operation_gives_what_vllms_own_gives(seen: Seen) -> None:
    assert set(seen.worst) == {
        f"{form}_{what}"
        for form in ("bgmv", "sgmv")
        for what in ("shrink", "expand", "expand_slice")
    }
    assert max(seen.worst.values()) < TOLERANCE, seen.worst


def test_the_bases_rows_are_left_alone_and_the_others_are_right(seen: Seen) -> None:
    assert seen.base == 0.0
    assert seen.whole < TOLERANCE
