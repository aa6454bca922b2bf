"""A run that a client has joined: it holds nobody up, and a client that falls behind gets the rest compacted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from ...runtime import events
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.log import Push

Reopen: TypeAlias = Callable[[], Awaitable[RunHandle | Sequence[events.Event]]]

_STARTS = (
    events.TextMessageStart,
    events.ToolCallStart,
    events.ReasoningStart,
    events.ReasoningMessageStart,
)
_CONTENTS = (events.TextMessageContent, events.ToolCallArgs, events.ReasoningMessageContent)
_ENDS = (events.TextMessageEnd, events.ToolCallEnd, events.ReasoningMessageEnd, events.ReasoningEnd)
_ONCE = (*_STARTS, *_ENDS, events.ToolCallResult)


class JoinedRun:
    """Reads a run's log without slowing the run down.

    Args:
        handle: The reader's place in the log.
        reopen: Reads the log from its beginning: the run again, or all its events if it has ended.
    """

    def __init__(self, handle: RunHandle, reopen: Reopen) -> None:
        self._handle: RunHandle | None = handle
        self._reopen = reopen
        self._ledger = Ledger()
        self._behind = False
        self._rest: Sequence[events.Event] = ()

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended."""
        if self._handle is not None and not self._rest:
            return self._handle.arrival()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def take(self) -> Sequence[events.Event]:
        """Return the events since the last call; none once the log has been read to its end.

        Raises:
            Lagged: The reader has fallen behind: call ``catch_up``.
        """
        batch, self._rest = self._rest, ()
        if not batch and self._handle is not None:
            batch = self._handle.take()
        if self._behind:
            self._behind = False
            batch = list(self._ledger.rest_of(batch))
        self._ledger.note(batch)
        return batch

    async def catch_up(self) -> None:
        """Read the log from its beginning; ``take`` leaves out what has been taken before."""
        self.close()
        found = await self._reopen()
        self._behind = True
        if isinstance(found, RunHandle):
            self._handle = found
        else:
            self._handle, self._rest = None, found

    def close(self) -> None:
        """Stop reading."""
        if self._handle is not None:
            self._handle.close()


class Ledger:
    """Knows what has been read of a run, to find the rest in its compacted form."""

    def __init__(self) -> None:
        self._once: set[tuple[type, str]] = set()
        self._characters: Counter[tuple[type, str]] = Counter()
        self._customs = 0

    def note(self, batch: Iterable[Any]) -> None:
        """Take note of what is read."""
        for event in batch:
            kind = type(event)
            if kind in _CONTENTS:
                self._characters[_key(event)] += len(event.delta)
            elif kind in _ONCE:
                self._once.add(_key(event))
            elif kind is events.Custom:
                self._customs += 1

    def rest_of(self, whole: Iterable[Any]) -> Iterator[Any]:
        """Return what has not been read of a run whose front is compacted. State and activities come again, whole."""
        customs, characters = self._customs, Counter(self._characters)
        for event in whole:
            kind = type(event)
            if kind in _CONTENTS:
                cut = min(characters[_key(event)], len(event.delta))
                characters[_key(event)] -= cut
                if cut < len(event.delta):
                    yield msgspec.structs.replace(event, delta=event.delta[cut:])
            elif kind is events.Custom and customs:
                customs -= 1
            elif kind not in _ONCE or _key(event) not in self._once:
                yield event


def _key(event: Any) -> tuple[type, str]:
    id_ = event.tool_call_id if hasattr(event, "tool_call_id") else event.message_id
    return type(event), id_
