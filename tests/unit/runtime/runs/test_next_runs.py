"""Who waits for a thread's next run is looked for again, whatever a look at the store comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import cast

import pytest
from structlog.testing import capture_logs

from copilotkit_runtime.runtime.runs import next_runs
from copilotkit_runtime.runtime.runs.next_runs import NextRuns
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_log import RunLogStore
from copilotkit_runtime.runtime.stores.run_records import Progress, RunKey


class Store:
    """Fails at the first looks."""

    shared = True

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]

    async def peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        if self.errors:
            raise self.errors.pop()
        return {key: Progress(1, "running", datetime.min) for key in keys}


@pytest.mark.parametrize("error", [ValueError("not readable"), StoreUnavailableError()], ids=["broken", "away"])
async def test_a_look_that_fails_is_not_the_last(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_runs, "LOOK_SECONDS", 0.01)
    runs = NextRuns(cast("RunLogStore", Store(error)))
    watch = runs.watch("thread")
    async with asyncio.timeout(20):
        assert await watch.wait(0)
    watch.close()
    await runs.stop()


async def test_looks_that_fail_alike_are_logged_once_and_so_is_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_runs, "LOOK_SECONDS", 0.01)
    runs = NextRuns(cast("RunLogStore", Store(*(StoreUnavailableError() for _ in range(5)))))
    watch = runs.watch("thread")
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            assert await watch.wait(0)
    assert [line["event"] for line in logs] == ["next_runs_not_found", "next_runs_found_again"]
    watch.close()
    await runs.stop()
