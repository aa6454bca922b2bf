"""What is there at once needs no timer, and what waits is limited as with ``asyncio.timeout``."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from copilotkit_runtime.runtime.patience import within

LONG = 60.0


async def test_what_does_not_wait_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_seconds: float) -> NoReturn:
        raise AssertionError("a timer was set")

    async def work() -> str:
        return "found"

    monkeypatch.setattr(asyncio, "timeout", forbidden)
    assert await within(LONG, work()) == "found"


async def test_what_waits_is_returned_in_the_end() -> None:
    async def work() -> list[int]:
        found = []
        for number in range(3):
            await asyncio.sleep(0)
            found.append(number)
        return found

    assert await within(LONG, work()) == [0, 1, 2]


@pytest.mark.parametrize("waits", [False, True])
async def test_errors_come_through(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await within(LONG, work())


async def test_an_error_of_what_is_waited_for_is_raised_inside() -> None:
    async def work() -> str:
        failed = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(failed.set_exception, LookupError())
        try:
            await failed
        except LookupError:
            await asyncio.sleep(0)
            return "caught"
        return "not raised"

    assert await within(LONG, work()) == "caught"


async def test_what_takes_too_long_is_cancelled() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    with pytest.raises(TimeoutError):
        await within(0.01, work())
    assert ended == [True]


async def test_a_limit_within_a_limit_is_the_inner_ones() -> None:
    async def inner() -> str:
        try:
            await within(0.01, asyncio.sleep(LONG))
        except TimeoutError:
            return "the inner one"
        return "none"

    assert await within(LONG, inner()) == "the inner one"


async def test_cancelling_who_waits_cancels_the_work() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = asyncio.create_task(within(LONG, work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
    assert task.cancelled()
