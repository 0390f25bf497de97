"""What an adapter's part of a step costs on the CPU: `python -m bench operations`.

Our operations for vLLM (images/engine) beside vLLM's own, in one process of the engine's
environment, on one module of SmolLM2's width: down to the rank and up again.
"""

import os
import subprocess
from typing import Final

import msgspec

from bench.errors import BenchError
from bench.processes import ROOT

PYTHON: Final = ROOT / ".venv-engine" / "bin" / "python"
PLUGIN: Final = ROOT / "images" / "engine"
SCRIPT: Final = """
import json, statistics, time, torch
import wastegate_engine as ours
from vllm.lora.ops.torch_ops import lora_ops as theirs
torch.manual_seed(0); torch.set_num_threads(2)
HIDDEN, OUT, RANK, SLOTS, ROUNDS, CALLS = 576, 1536, 16, 4, 15, 20
down, up = torch.randn(SLOTS, 1, RANK, HIDDEN), torch.randn(SLOTS, 1, OUT, RANK)
CASES = {
    "a prompt of 200 tokens, an adapter's": [0] * 200,
    "prompts of 200, one the base's": [-1] * 200 + [0] * 200,
    "one token each of 8, an adapter's": [0] * 8,
    "one token each of 8, 4 the base's": [0, -1] * 4,
    "one token each of 8, of 4 adapters": [0, 1, 2, 3] * 2,
    "one token each of 8, the base's": [-1] * 8,
}
for what, slots in CASES.items():
    index, times = torch.tensor(slots), {"ours": [], "theirs": []}
    x, y = torch.randn(len(slots), HIDDEN), torch.zeros(len(slots), OUT)
    middle = torch.zeros(len(slots), RANK)
    for _ in range(ROUNDS):
        for who, module in (("theirs", theirs), ("ours", ours)):
            began = time.perf_counter()
            for _ in range(CALLS):
                module.bgmv_shrink(x, down, middle, index, 1.0)
                module.bgmv_expand(middle, up, y, index, True)
            times[who].append((time.perf_counter() - began) / CALLS * 1e6)
    print(json.dumps({
        "what": what,
        "theirs": statistics.median(times["theirs"]),
        "ours": statistics.median(times["ours"]),
    }))
"""


class Row(msgspec.Struct, frozen=True):
    """Microseconds for one module, medians."""

    what: str
    theirs: float
    ours: float


def run() -> list[Row]:
    """Time both.

    Raises:
        BenchError: the engine's environment is missing, or does not run it.
    """
    if not PYTHON.exists():
        raise BenchError("the engine's environment is missing: make .venv-engine")
    ran = subprocess.run(  # noqa: S603 -- an environment of ours
        [str(PYTHON), "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(PLUGIN)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise BenchError(f"the engine's environment: {ran.stderr.strip()[-400:]}")
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    return [msgspec.json.decode(line, type=Row) for line in lines]


def report(rows: list[Row]) -> str:
    """A table."""
    head = f"{'µs a module':<38}{'vLLM':>10}{'ours':>10}{'ratio':>8}"
    return "\n".join(
        [
            head,
            *(
                f"{row.what:<38}{row.theirs:>10.0f}{row.ours:>10.0f}"
                f"{row.theirs / row.ours:>8.1f}"
                for row in rows
            ),
        ]
    )
