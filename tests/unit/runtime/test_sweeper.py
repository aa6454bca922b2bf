"""Work in the background goes on whatever one time of it comes to, and ends when it is stopped."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from copilotkit_runtime.runtime import repeated_failures
from copilotkit_runtime.runtime.errors import StoreError
from copilotkit_runtime.runtime.sweeper import Sweeper
from tests.support.polling import until


class Work:
    """Fails as often as it is set to."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.done = 0

    async def sweep(self) -> None:
        self.done += 1
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    async def is_done_again(self) -> bool:
        return self.done > 3


@pytest.mark.parametrize("failure", [StoreError("away"), ValueError("a run that cannot be read")])
async def test_what_fails_is_tried_again(failure: Exception) -> None:
    work = Work(failure, None, failure)
    sweeper = Sweeper("work", work.sweep, lambda: 0.001)
    sweeper.start()
    sweeper.start()
    await until(work.is_done_again)
    await sweeper.stop()
    done = work.done
    await asyncio.sleep(0.01)
    assert work.done == done
    await sweeper.stop()


async def test_work_that_has_no_more_to_do_ends_and_can_be_started_again() -> None:
    work = Work()
    sweeper = Sweeper("work", work.sweep, lambda: 0.001, lambda: work.done < 2 or work.done == 3)

    async def has_paused() -> bool:
        return work.done == 2

    sweeper.start()
    await until(has_paused)
    work.done = 3
    sweeper.start()
    await until(work.is_done_again)
    await sweeper.stop()


async def test_a_failure_that_lasts_is_reported_once_and_so_is_its_end() -> None:
    away = StoreError("away")
    work = Work(away, away, ValueError("other"), away, away, None)
    sweeper = Sweeper("work", work.sweep, lambda: 0.001)

    async def is_over() -> bool:
        return work.done > 6

    with capture_logs() as lines:
        sweeper.start()
        await until(is_over)
        await sweeper.stop()
    assert [(line["event"], line.get("error"), line.get("exc_info", False)) for line in lines] == [
        ("sweep_failed", "away", False),
        ("sweep_failed", None, True),
        ("sweep_failed", "away", False),
        ("sweep_succeeds_again", None, False),
    ]


async def test_a_failure_that_lasts_is_reported_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_failures, "REMIND_SECONDS", 0.0)
    work = Work(*[StoreError("away")] * 3)
    sweeper = Sweeper("work", work.sweep, lambda: 0.001)
    with capture_logs() as lines:
        sweeper.start()
        await until(work.is_done_again)
        await sweeper.stop()
    assert [line["event"] for line in lines] == ["sweep_failed"] * 3 + ["sweep_succeeds_again"]
