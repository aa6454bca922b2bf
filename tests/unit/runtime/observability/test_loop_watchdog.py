"""What the watchdog reports of a loop that does not turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from copilotkit_runtime.runtime.observability.loop_watchdog import LoopWatchdog
from tests.support.polling import until

SECONDS = 0.5


def unserved(make: Callable[[], Any]) -> Callable[[], Any]:
    """Return what makes a loop whose watchdog's timer does not come, as where its thread is not run."""

    def make_unserved() -> Any:
        loop = make()
        call_later = loop.call_later

        def call_later_or_never(delay: float, callback: Any, *rest: Any, **keywords: Any) -> asyncio.TimerHandle:
            watches = isinstance(getattr(callback, "__self__", None), LoopWatchdog)
            handle: asyncio.TimerHandle = call_later(3600 if watches else delay, callback, *rest, **keywords)
            return handle

        loop.call_later = call_later_or_never
        return loop

    return make_unserved


def reports_of(loop: Callable[[], Any], event: str, *, block: bool) -> tuple[list[Any], int]:
    """Return what is reported until an event is, and how often a task was counted as blocking."""
    blocked: list[None] = []

    def is_reported() -> bool:
        return any(line["event"] == event for line in logs)

    def hold_the_loop() -> None:
        pause = threading.Event()
        for _ in range(2000):
            if is_reported():
                return
            pause.wait(0.01)

    async def is_reported_now() -> bool:
        return is_reported()

    async def wait() -> None:
        watchdog = LoopWatchdog(SECONDS, lambda: blocked.append(None))
        watchdog.start()
        if block:
            asyncio.get_running_loop().call_soon(hold_the_loop)
        await until(is_reported_now)
        watchdog.stop()

    with capture_logs() as logs, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(wait())
    return logs, len(blocked)


@pytest.mark.parametrize("loop", [unserved(asyncio.SelectorEventLoop), unserved(uvloop.new_event_loop)])
def test_a_loop_that_is_not_run_is_reported_as_that_and_blames_nobody(loop: Callable[[], Any]) -> None:
    logs, blocked = reports_of(loop, "loop_starved", block=False)
    assert logs[0]["log_level"] == "warning"
    assert "stack" not in logs[0]
    assert not blocked


@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
def test_what_the_loop_has_called_without_a_task_is_blamed(loop: Callable[[], Any]) -> None:
    logs, blocked = reports_of(loop, "loop_blocked", block=True)
    [stack] = [line["stack"] for line in logs if line["event"] == "loop_blocked"]
    assert "hold_the_loop" in stack
    assert blocked == 1
