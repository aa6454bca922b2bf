"""Tasks that are to end do end, though what they await swallows a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from copilotkit_runtime.runtime import cancellation
from copilotkit_runtime.runtime.cancellation import end_tasks


class Stubborn:
    """Swallows some cancellations, as ``asyncio.wait_for`` of Python 3.11 may."""

    def __init__(self, swallows: int) -> None:
        self.swallows = swallows
        self.begun = asyncio.Event()

    async def work(self) -> None:
        for _ in range(self.swallows):
            with suppress(asyncio.CancelledError):
                self.begun.set()
                await asyncio.Event().wait()
        self.begun.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("swallows", [0, 1, 3])
async def test_a_task_that_swallows_cancellations_ends(swallows: int) -> None:
    stubborn = Stubborn(swallows)
    tasks = [asyncio.create_task(stubborn.work()), asyncio.create_task(asyncio.sleep(60))]
    await stubborn.begun.wait()
    await end_tasks(*tasks, again=0.01)
    assert [task.cancelled() for task in tasks] == [True, True]


async def test_what_has_ended_and_nothing_at_all_are_left_as_they_are() -> None:
    done = asyncio.create_task(asyncio.sleep(0, "result"))
    await done
    await end_tasks(done)
    await end_tasks()
    assert done.result() == "result"


async def test_a_task_that_ignores_all_cancellations_is_reported_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "END_SECONDS", 0.05)
    stubborn = Stubborn(1_000)
    task = asyncio.create_task(stubborn.work(), name="deaf")
    await stubborn.begun.wait()
    with capture_logs() as logs:
        await end_tasks(task, again=0.01)
    assert not task.done()
    assert [(entry["event"], entry["tasks"]) for entry in logs] == [("tasks_ignore_cancellation", ["deaf"])]
    stubborn.swallows = 0
    monkeypatch.undo()
    await end_tasks(task, again=0.0)
