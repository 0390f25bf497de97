"""The machine that a run is made on, for the report."""

import os
from pathlib import Path


def machine() -> str:
    """The processor's name and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    name = " ".join(names[0].split()) if names else "unknown processor"
    return f"{name}, {cores} cores"
