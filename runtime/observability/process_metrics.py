"""The processes of a server as Prometheus metrics: the usual ones, of one process or of each worker."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_LIVE_FILES = "gauge_live*_*.db"


class WorkersCollector:
    """Collects ``process_*`` of every live worker, each with its ``pid``.

    prometheus_client itself collects the process that happens to answer, which is another worker each time.

    Args:
        folder: Where the workers keep their metrics: a file of live gauges for each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Any]:
        """Return one family for each metric, with a sample for each worker."""
        from prometheus_client.metrics_core import Metric

        families: dict[str, Any] = {}
        for pid in sorted(self._pids()):
            for found in _metrics_of(pid):
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                family.samples += [sample._replace(labels={"pid": str(pid)}) for sample in found.samples]
        return families.values()

    def _pids(self) -> set[int]:
        return {int(file.stem.rpartition("_")[2]) for file in self._folder.glob(_LIVE_FILES)}


def _metrics_of(pid: int) -> Iterable[Any]:
    """Return the metrics of a process; none if it has just ended."""
    from prometheus_client.process_collector import ProcessCollector

    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def register_process(registry: Any) -> None:
    """Add the metrics of the process, or of all workers, and of the interpreter to a registry."""
    from prometheus_client.platform_collector import PlatformCollector
    from prometheus_client.process_collector import ProcessCollector

    PlatformCollector(registry)
    folder = os.environ.get(MULTIPROCESS_VARIABLE)
    if folder is None:
        ProcessCollector(registry=registry)
    else:
        registry.register(WorkersCollector(Path(folder)))


def forget_process(pid: int | None) -> None:
    """Let the runs and streams of a process that has died no longer count as going on."""
    if MULTIPROCESS_VARIABLE in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
