from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from functools import partial
from typing import Any

import pytest

from copilotkit_runtime import Action, RunContext
from copilotkit_runtime.runtime.actions.execution import ActionRunner
from copilotkit_runtime.runtime.thread_pool import Workers

number = contextvars.ContextVar("number", default=0)


async def run(handler: Any, arguments: str = "", **more: Any) -> str:
    outcome = await ActionRunner(Workers()).run(Action("x", "", handler, **more), arguments, RunContext())
    return outcome.content


async def test_a_handler_that_cancels_itself_is_reported_as_an_error() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    assert json.loads(await run(give_up))["error"]["code"] == "HANDLER_ERROR"


async def test_a_handlers_own_timeout_is_not_another_error_than_any() -> None:
    async def late() -> None:
        raise TimeoutError("slow database")

    assert "slow" not in await run(late)


async def test_sync_and_async_handlers_see_the_context_variables_of_the_run() -> None:
    async def read() -> int:
        return number.get()

    number.set(7)
    assert await run(lambda: number.get()) == "7"
    assert await run(read) == "7"


async def test_only_so_many_sync_handlers_run_at_once_and_the_others_wait() -> None:
    workers, release, entered = Workers(bound=2), threading.Event(), threading.Semaphore(0)

    def block(index: int) -> int:
        entered.release()
        release.wait(10)
        return index

    calls = [asyncio.create_task(workers.run(partial(block, index))) for index in range(4)]
    for _ in range(2):
        assert await asyncio.to_thread(entered.acquire, timeout=5)
    assert not entered.acquire(blocking=False)
    release.set()
    assert await asyncio.gather(*calls) == [0, 1, 2, 3]


async def test_a_call_that_was_given_up_before_its_turn_is_never_made() -> None:
    workers, release, made = Workers(bound=1), threading.Event(), []
    first = asyncio.create_task(workers.run(lambda: release.wait(10)))
    second = asyncio.create_task(workers.run(lambda: made.append(1)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    await first
    await workers.stop()
    assert not made
