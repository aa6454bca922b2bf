"""Many runs are written in few operations, and one that is lost or fails harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.group_writer import GROUP_BATCHES, GROUP_BYTES, GroupWriter, RunBatch
from copilotkit_runtime.runtime.stores.run_records import Batch, RunKey, RunLostError

UNREADABLE = b"\0"


class Store:
    """Takes a turn of the loop for each operation."""

    def __init__(self) -> None:
        self.operations: list[tuple[str, list[RunBatch]]] = []
        self.lost: set[RunKey] = set()
        self.failures = 0

    async def write(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        await asyncio.sleep(0)
        if any(each.batch.payload == UNREADABLE for each in batches):
            raise ValueError("not readable")
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError
        self.operations.append((owner, list(batches)))
        return {each.key: False for each in batches if each.key not in self.lost}


def batch(first: int = 1, payload: bytes = b"[]") -> Batch:
    return Batch(first, first, payload)


async def test_what_comes_during_an_operation_goes_with_the_next_one() -> None:
    store = Store()
    writer = GroupWriter(store.write)
    keys = [RunKey("thread", number) for number in range(3 * GROUP_BATCHES)]
    assert not any(await asyncio.gather(*(writer.append("me", key, batch()) for key in keys)))
    assert [len(batches) for _, batches in store.operations] == [GROUP_BATCHES] * 3


async def test_an_operation_is_of_one_owner_and_has_one_batch_of_each_run_and_a_bound() -> None:
    store = Store()
    writer = GroupWriter(store.write)
    key, other = RunKey("thread", 1), RunKey("thread", 2)
    await asyncio.gather(
        writer.append("me", key, batch(1)),
        writer.append("me", key, batch(2)),
        writer.append("you", other, batch(1)),
        writer.append("me", other, batch(3, b"x" * GROUP_BYTES)),
        writer.append("me", RunKey("thread", 3), batch(4)),
    )
    written = [(owner, [each.batch.first for each in batches]) for owner, batches in store.operations]
    assert written == [("me", [1, 3]), ("me", [2, 4]), ("you", [1])]


async def test_a_lost_run_and_a_failed_operation_are_reported_to_those_they_concern() -> None:
    store = Store()
    writer = GroupWriter(store.write)
    lost, kept = RunKey("thread", 1), RunKey("thread", 2)
    store.lost.add(lost)
    answers = await asyncio.gather(
        writer.append("me", lost, batch()), writer.append("me", kept, batch()), return_exceptions=True
    )
    assert isinstance(answers[0], RunLostError)
    assert answers[1] is False
    store.failures = 1
    with pytest.raises(StoreUnavailableError):
        await writer.append("me", kept, batch())
    assert await writer.append("me", kept, batch()) is False


async def test_who_gives_up_is_left_out_and_the_others_are_written() -> None:
    store = Store()
    writer = GroupWriter(store.write)
    leaving = asyncio.create_task(writer.append("me", RunKey("thread", 1), batch()))
    staying = asyncio.create_task(writer.append("me", RunKey("thread", 2), batch()))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is False
    await writer.stop()


async def test_who_writes_gets_an_error_whatever_it_is() -> None:
    writer = GroupWriter(Store().write)
    async with asyncio.timeout(20):
        with pytest.raises(ValueError, match="not readable"):
            await writer.append("me", RunKey("thread", 1), batch(payload=UNREADABLE))
        assert await writer.append("me", RunKey("thread", 1), batch()) is False
