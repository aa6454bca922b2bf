"""A signal reaches those that wait and those that come late."""

from __future__ import annotations

import asyncio

from copilotkit_runtime.runtime.signals import Signal


async def test_all_that_wait_go_on_when_it_happens() -> None:
    signal = Signal()
    waiting = [asyncio.create_task(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not signal.is_set()
    signal.set()
    await asyncio.gather(*waiting)
    await signal.wait()
    assert signal.is_set()


def test_it_happens_once() -> None:
    signal = Signal()
    assert signal.set()
    assert not signal.set()
