"""The runs that go on in this process, by their threads and with their reports to hooks."""

from __future__ import annotations

from collections.abc import Iterator

from .hooks.reports import RequestReport
from .runs.remote import RemoteRun
from .runs.run import Run, RunStatus


class ActiveRuns:
    """Keeps the runs that go on. Runs within other runs belong to no thread here: they end with the outer one."""

    def __init__(self) -> None:
        self._runs: set[Run] = set()
        self._reports: dict[Run, RequestReport] = {}
        self._by_thread: dict[str, list[Run]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def add(self, run: Run, report: RequestReport, *, on_thread: bool) -> None:
        """Take in a run that is about to start; ``on_thread``: clients find it by its thread."""
        self._runs.add(run)
        self._reports[run] = report
        if on_thread:
            self._by_thread.setdefault(run.input.thread_id, []).append(run)

    def remove(self, run: Run) -> None:
        """Leave out a run that has ended. Its report stays until it is taken."""
        self._runs.discard(run)
        runs = self._by_thread.get(run.input.thread_id, [])
        if run in runs:
            runs.remove(run)
        if not runs:
            self._by_thread.pop(run.input.thread_id, None)

    def take_report(self, run: Run) -> RequestReport | None:
        """Return a run's report to hooks, and keep it no longer."""
        return self._reports.pop(run, None)

    def newest(self, thread_id: str) -> Run | None:
        """Return the run that was started last on a thread; None if none goes on there."""
        runs = self._by_thread.get(thread_id)
        return runs[-1] if runs else None

    def of(self, thread_id: str, run_id: str | None) -> list[Run]:
        """Return the runs on a thread: those that clients started as ``run_id``, or all for None."""
        return [run for run in self._by_thread.get(thread_id, ()) if run_id in (None, run.input.run_id)]

    def report_stop(self, run: Run | RemoteRun) -> None:
        """Report to hooks that a run's client has gone, if the run goes on here."""
        report = self._reports.get(run) if isinstance(run, Run) else None
        if report is not None and run.status is RunStatus.RUNNING:
            report.stopped()
