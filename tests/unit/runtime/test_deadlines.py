"""One timer limits the time of many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from copilotkit_runtime.runtime.deadlines import Deadlines
from tests.support.polling import until

LONG = 60.0
SHORT = 0.02


class _Limited:
    def __init__(self) -> None:
        self.ended = 0

    def end_overdue(self) -> None:
        self.ended += 1


async def ended(*limited: _Limited) -> None:
    async def are() -> bool:
        return all(each.ended for each in limited)

    await until(are)


async def test_what_is_overdue_is_ended_once() -> None:
    deadlines, limited = Deadlines(SHORT), [_Limited() for _ in range(3)]
    for each in limited:
        deadlines.add(each)
    await ended(*limited)
    later = _Limited()
    deadlines.add(later)
    await ended(later)
    assert [each.ended for each in limited] == [1, 1, 1]


async def test_what_ends_in_time_is_left_alone() -> None:
    deadlines, quick, slow = Deadlines(SHORT), _Limited(), _Limited()
    deadlines.add(quick)
    deadlines.add(slow)
    deadlines.remove(quick)
    deadlines.remove(quick)
    await ended(slow)
    assert quick.ended == 0


async def test_time_begins_anew_for_what_is_added_again() -> None:
    deadlines, again, other = Deadlines(SHORT), _Limited(), _Limited()
    deadlines.add(again)
    deadlines.add(other)
    deadlines.add(again)
    await ended(again)
    assert other.ended == 1, "which was due before"


async def test_there_is_one_timer_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(LONG)
    set_: list[float] = []
    call_later = loop.call_later

    def counted(seconds: float, *rest: Any) -> asyncio.TimerHandle:
        set_.append(seconds)
        return call_later(seconds, *rest)

    monkeypatch.setattr(loop, "call_later", counted)
    for _ in range(100):
        deadlines.add(_Limited())
    assert set_ == [LONG]


def test_what_another_loop_has_left_is_forgotten() -> None:
    deadlines, left, here = Deadlines(SHORT), _Limited(), _Limited()

    async def add(limited: _Limited) -> None:
        deadlines.add(limited)

    async def end() -> None:
        await add(here)
        await ended(here)

    asyncio.run(add(left))
    asyncio.run(end())
    assert left.ended == 0
