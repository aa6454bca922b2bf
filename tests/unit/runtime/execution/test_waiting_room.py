"""Runs that wait for a place in a full queue."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from copilotkit_runtime.runtime.errors import QueueFullError
from copilotkit_runtime.runtime.execution import waiting_room
from copilotkit_runtime.runtime.execution.waiting_room import WaitingRoom
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_records import RunKey
from tests.support.polling import until


class Queues:
    """Queues in memory, whose server may be away."""

    def __init__(self) -> None:
        self.kept: list[RunKey] = []
        self.taken = 0
        self.away = False
        self.looks = 0

    async def put(self, _queue: str, key: RunKey) -> None:
        if self.away:
            raise StoreUnavailableError
        self.kept.append(key)

    async def waiting(self, _queue: str) -> int:
        self.looks += 1
        if self.away:
            raise StoreUnavailableError
        return len(self.kept) - self.taken


KEYS = [RunKey("thread", number) for number in range(6)]


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Queues:
    monkeypatch.setattr(waiting_room, "LOOK_SECONDS", 0.01)
    return Queues()


def room_of(queues: Any, most: int, *, waits: bool = True) -> WaitingRoom:
    return WaitingRoom(queues, most, waits=waits)


async def fill(room: WaitingRoom, keys: list[RunKey]) -> list[int]:
    """Put runs, as an execution does; return how many were ahead of each."""
    found = []
    for key in keys:
        found.append(await room.ahead("q"))
        await room.put("q", key, found[-1])
    return found


async def test_runs_are_put_in_their_order_as_places_become_free_and_no_more_than_there_are(queues: Queues) -> None:
    room = room_of(queues, 3)
    assert await fill(room, KEYS) == [0, 1, 2, 3, 4, 5]
    assert queues.kept == KEYS[:3]
    with pytest.raises(QueueFullError):
        await room.ahead("q")
    for taken in (1, 2, 3):
        queues.taken = taken

        async def moved_up(count: int = 3 + taken) -> bool:
            return len(queues.kept) == count

        await until(moved_up, 30)
    assert queues.kept == KEYS
    await room.close()


async def test_a_full_queue_refuses_where_runs_do_not_wait(queues: Queues) -> None:
    room = room_of(queues, 1, waits=False)
    await fill(room, KEYS[:1])
    with pytest.raises(QueueFullError):
        await room.ahead("q")


async def test_what_waits_is_put_when_the_process_ends_full_or_not(queues: Queues) -> None:
    room = room_of(queues, 2)
    await fill(room, KEYS[:4])
    await room.close()
    assert queues.kept == KEYS[:4]


async def test_a_server_that_is_away_for_a_while_loses_no_run(queues: Queues) -> None:
    room = room_of(queues, 2)
    await fill(room, KEYS[:4])
    queues.away = True
    with pytest.raises(StoreUnavailableError):
        await room.ahead("q")
    queues.away, queues.taken = False, 2

    async def all_put() -> bool:
        return queues.kept == KEYS[:4]

    await until(all_put, 30)
    queues.away = True
    await room.close()


async def test_a_server_that_is_away_is_reported_once_and_so_is_its_return(queues: Queues) -> None:
    room = room_of(queues, 2)
    await fill(room, KEYS[:3])
    queues.away, seen = True, queues.looks

    async def was_looked_at() -> bool:
        return queues.looks > seen + 3

    async def is_put() -> bool:
        return len(queues.kept) == 3 and len(lines) > 1

    with capture_logs() as lines:
        await until(was_looked_at, 30)
        queues.away, queues.taken = False, 1
        await until(is_put, 30)
        await room.close()
    assert [line["event"] for line in lines] == ["queue_does_not_answer", "queue_answers_again"]
