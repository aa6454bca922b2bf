"""Following a run of another process ends when its reader leaves, whatever the store's client does about it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import cast

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.remote import RemoteSubscription
from copilotkit_runtime.runtime.stores.run_log import RunLogStore
from copilotkit_runtime.runtime.stores.run_records import Progress, RunKey, RunPart, RunRecord
from copilotkit_runtime.runtime.stores.run_watch import Follower, RunWatch

BEGAN = datetime.now(UTC)
RECORD = RunRecord(
    thread_id="t", number=1, run_id="r", agent_name="a", status="running", last=0, about={}, started_at=BEGAN,
    updated_at=BEGAN,
)  # fmt: skip


class Store:
    """Returns what it has read although it is cancelled, as ``wait_for`` does before Python 3.12."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._watch = RunWatch(self._peek)

    async def _peek(self, _keys: object) -> dict[RunKey, Progress]:
        return {}

    def follow(self, key: RunKey) -> Follower:
        return self._watch.follow(key)

    async def read(self, _key: RunKey, _after: int) -> RunPart:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return RunPart(events=[events.Custom(name="late")], last=1, ended=False, more=True, started=BEGAN)
        raise AssertionError


async def test_a_reader_that_leaves_leaves_no_task_behind() -> None:
    store = Store()
    reader = RemoteSubscription(cast("RunLogStore", store), RECORD, 0)
    [task] = [each for each in asyncio.all_tasks() if each.get_name() == "follow-run"]
    async with asyncio.timeout(20):
        await store.asked.wait()
        reader.close()
        await task
