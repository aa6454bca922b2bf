"""Prepare a run that was taken while the store makes sure that nobody else can take it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..cancellation import end_tasks
from .run import PreparedRun


async def prepare_and_settle(
    prepare: Callable[[], Coroutine[Any, Any, PreparedRun]], settle: Callable[[], Coroutine[Any, Any, None]]
) -> PreparedRun:
    """Prepare a run; return once it has settled as well. If that fails, nothing is held for it any longer.

    Args:
        prepare: Prepares the run.
        settle: Returns once a crash of the store's server cannot give the run to another process.
    """
    settling = asyncio.create_task(settle(), name="settle-run")
    try:
        prepared = await prepare()
        try:
            await settling
        except BaseException:
            await prepared.release()
            raise
        return prepared
    finally:
        await end_tasks(settling)
        if not settling.cancelled():
            settling.exception()  # it is known: the run has failed of this, or of something else before
