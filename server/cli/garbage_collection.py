"""The garbage collector, set for a process that does nothing but serve."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from ...runtime.cancellation import end_tasks

YOUNG_OBJECTS = 50_000
"""How many more objects than before are made until the young ones are looked at.

CPython's own 700 suits a script. A thousand streams make more than that in each turn of the loop, and nearly all of it
goes away by itself: with 700, a fifth of the server's time was spent looking.
"""

SECONDS = 1.0
"""How long young garbage may lie about on a server with little to do: frameworks leave connections in it."""

OLD_SECONDS = 10.0
"""How long old garbage may lie about: what was part of a ring, and lived for longer than a second, as streams do."""
OLD_SHARE = 0.005
"""What share of the time looking at all objects may take: with many, it is done more rarely."""


@asynccontextmanager
async def collected() -> AsyncIterator[None]:
    """Leave what start-up made out of all collections, and make those rarer, by number and by time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    collecting = asyncio.create_task(_collect(), name="garbage")
    try:
        yield
    finally:
        await end_tasks(collecting)


async def _collect() -> None:
    """Collect the young often, and the old now and then: CPython would not, as long as nothing but this collects."""
    due = monotonic() + OLD_SECONDS
    while True:
        await asyncio.sleep(SECONDS)
        began = monotonic()
        if began < due:
            gc.collect(1)
            continue
        gc.collect()
        ended = monotonic()
        due = ended + max(OLD_SECONDS, (ended - began) / OLD_SHARE)
