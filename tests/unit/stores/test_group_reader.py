"""Whoever reads a run gets it or an error, and what cannot be read harms no reader of another run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.group_reader import GroupReader, RunBatches, Wanted
from copilotkit_runtime.runtime.stores.run_records import Progress, RunKey, RunLostError

PROGRESS = Progress(1, "running", datetime.min)
BROKEN, WHOLE, GONE = RunKey("broken", 1), RunKey("whole", 1), RunKey("gone", 1)


class Store:
    """Has a run that it cannot read, and takes a turn of the loop for each operation."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.operations = 0

    async def read(self, wanted: Sequence[Wanted]) -> Sequence[RunBatches | None]:
        self.operations += 1
        await asyncio.sleep(0)
        if any(each.key == BROKEN for each in wanted):
            raise self.error
        return [None if each.key == GONE else (PROGRESS, []) for each in wanted]


async def test_a_run_that_cannot_be_read_fails_for_its_own_readers_alone() -> None:
    reader = GroupReader(Store(ValueError("no number")).read)
    async with asyncio.timeout(20):
        broken, again, whole, gone, later = await asyncio.gather(
            reader.read(BROKEN, 0),
            reader.read(BROKEN, 0),
            reader.read(WHOLE, 0),
            reader.read(GONE, 0),
            reader.read(WHOLE, 1),
            return_exceptions=True,
        )
    assert isinstance(broken, ValueError)
    assert isinstance(again, ValueError)
    assert isinstance(gone, RunLostError)
    assert whole == later == (PROGRESS, [])


async def test_a_store_that_is_away_is_asked_once_for_all_readers() -> None:
    store = Store(StoreUnavailableError())
    reader = GroupReader(store.read)
    async with asyncio.timeout(20):
        found = await asyncio.gather(reader.read(BROKEN, 0), reader.read(WHOLE, 0), return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailableError, StoreUnavailableError]
    assert store.operations == 1


@pytest.mark.parametrize("error", [ValueError("no number"), StoreUnavailableError()], ids=["broken", "away"])
async def test_reading_goes_on_after_a_failure(error: Exception) -> None:
    reader = GroupReader(Store(error).read)
    async with asyncio.timeout(20):
        with pytest.raises(type(error)):
            await reader.read(BROKEN, 0)
        assert await reader.read(WHOLE, 0) == (PROGRESS, [])
