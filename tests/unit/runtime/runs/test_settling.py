"""A run that is prepared while the store settles who has it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from copilotkit_runtime.runtime.errors import ThreadLostError
from copilotkit_runtime.runtime.runs.settling import prepare_and_settle


async def test_a_run_that_fails_and_does_not_settle_either_leaves_no_exception_behind() -> None:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    lost = asyncio.Event()

    async def settle() -> None:
        lost.set()
        raise ThreadLostError

    async def prepare() -> Any:
        await lost.wait()
        raise ValueError("it cannot be prepared")

    with pytest.raises(ValueError, match="cannot be prepared"):
        await prepare_and_settle(prepare, settle)
    gc.collect()
    assert unhandled == []
