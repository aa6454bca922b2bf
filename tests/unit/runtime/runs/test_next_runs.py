"""Who waits for a thread's next run is looked for again, whatever a look at the store comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import cast

import pytest

from copilotkit_runtime.runtime.runs import next_runs
from copilotkit_runtime.runtime.runs.next_runs import NextRuns
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_log import RunLogStore
from copilotkit_runtime.runtime.stores.run_records import Progress, RunKey


class Store:
    """Fails at the first look."""

    shared = True

    def __init__(self, error: Exception) -> None:
        self.errors = [error]

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
