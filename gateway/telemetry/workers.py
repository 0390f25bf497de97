"""One `/metrics` over the workers of a gateway: what each counts lies in a shared place.

Counts and histograms are added up by prometheus_client's multi-process mode. Each
worker has its own files and a replaced one goes on in its predecessor's, so that no
count is lost or goes back, whatever a worker dies of. Gauges are the first worker's.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, cast

from prometheus_client import CollectorRegistry, ProcessCollector, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_SUMMED: Final = ("counter_*.db", "histogram_*.db")


def share(directory: Path, index: int) -> None:
    """Let what this process counts from now on lie in `directory`.

    Args:
        directory: of this gateway's workers alone.
        index: this worker's among them.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    values.ValueClass = values.MultiProcessValue(lambda: index)  # pyright: ignore[reportUnknownMemberType] -- the library says nothing of its types
    # The first worker's gauges are read in its own memory, where series do end.
    warnings.filterwarnings("ignore", "Removal of labels has not been implemented")


class Added(Collector):
    """The counts and histograms of all workers, added up.

    Args:
        directory: as of `share`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """Read the workers' files."""
        files = chain.from_iterable(map(self._directory.glob, _SUMMED))
        merged = MultiProcessCollector.merge([str(path) for path in files])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- the library says nothing of its types
        return cast("Iterable[Metric]", merged)


class Processes(Collector):
    """Memory, CPU and start time of each worker, by its index.

    Args:
        pids: those that are there, by index.
    """

    def __init__(self, pids: Callable[[], Mapping[int, int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterable[Metric]:
        """Look at each."""
        found: dict[str, Metric] = {}
        for index, pid in self._pids().items():
            process = ProcessCollector(pid=lambda pid=pid: pid, registry=None)
            for family in process.collect():
                one = found.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = sample.labels | {"worker": str(index)}
                    one.add_sample(sample.name, labels, sample.value)
        return found.values()


def shared_registry(
    directory: Path, pids: Callable[[], Mapping[int, int]]
) -> CollectorRegistry:
    """Return what the first worker shows: its own gauges are to be registered here."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Added(directory))
    registry.register(Processes(pids))
    return registry
