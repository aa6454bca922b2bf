from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from copilotkit_runtime.providers.models.idle_timeout import unless_silent
from copilotkit_runtime.providers.models.streams import closing, drained


class Source:
    """Numbers, then silence. Tells whether it was closed."""

    def __init__(self, count: int, *, silent: bool = False) -> None:
        self.closed = False
        self._count = count
        self._silent = silent

    async def numbers(self) -> AsyncIterator[int]:
        try:
            for number in range(self._count):
                yield number
            if self._silent:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_items_pass_unchanged() -> None:
    assert [item async for item in unless_silent(Source(3).numbers(), 5)] == [0, 1, 2]


async def test_silence_ends_in_a_timeout_and_closes_the_source() -> None:
    source = Source(1, silent=True)
    with pytest.raises(TimeoutError):
        async for _ in unless_silent(source.numbers(), 0.01):
            pass
    assert source.closed


async def test_leaving_early_closes_the_source() -> None:
    source = Source(3)
    async with closing(unless_silent(source.numbers(), 5)) as items:
        assert await anext(items) == 0
    assert source.closed


async def test_draining_gives_up_on_a_source_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copilotkit_runtime.providers.models.streams.DRAIN_SECONDS", 0.01)
    source = Source(1, silent=True)
    await drained(source.numbers())
    assert source.closed
