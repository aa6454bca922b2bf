"""The calls of a thread with their results, where ids may have been used more than once.

Threads begun elsewhere, or before ids were made unique, hold several calls of one id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from ...runtime.call_ids import CallIds
from ...runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage


class CallUses:
    """Distinguishes the calls of one id, and finds each one's result.

    A call that is repeated with the same name and arguments, before the person wrote or a result came, is the same
    call.

    Args:
        messages: A thread, oldest first.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self._calls: dict[int, ToolCallMessage] = {}
        self._original: dict[int, str] = {}
        self._positions: dict[str, list[int]] = {}
        self._results: dict[str, dict[int, str]] = {}
        self._places: dict[str, list[int]] = {}
        self._pending: dict[str, ToolCallMessage] = {}
        self._ids = CallIds.of(messages)
        for index, message in enumerate(messages):
            self._read(index, message)
        self._ends = {one: other for places in self._positions.values() for one, other in pairwise(places)}

    def at(self, index: int) -> tuple[ToolCallMessage, str | None] | None:
        """Return the call at ``index`` under an id of its own, and its result; None for a call that is a repetition."""
        call = self._calls.get(index)
        return None if call is None else (call, self._result(index, self._original[index]))

    def _read(self, index: int, message: Message) -> None:
        match message:
            case TextMessage(role="user"):
                self._pending.clear()
            case ToolResultMessage():
                self._pending.pop(message.tool_call_id, None)
                self._results.setdefault(message.tool_call_id, {})[index] = message.result
            case ToolCallMessage():
                self._use(index, message)

    def _use(self, index: int, call: ToolCallMessage) -> None:
        known = self._pending.get(call.id)
        if known is not None and (known.name, known.arguments) == (call.name, call.arguments):
            return
        self._pending[call.id] = call
        places = self._positions.setdefault(call.id, [])
        places.append(index)
        self._original[index] = call.id
        own = self._ids.assign(call.id, str(len(places))) if len(places) > 1 else call.id
        self._calls[index] = msgspec.structs.replace(call, id=own)

    def _result(self, index: int, call_id: str) -> str | None:
        results = self._results.get(call_id, {})
        if len(self._positions[call_id]) == 1:
            return next(iter(results.values()), None)
        places = self._places.setdefault(call_id, list(results))
        nearest = bisect_right(places, index)
        if nearest == len(places) or places[nearest] > self._ends.get(index, places[nearest]):
            return None
        return results[places[nearest]]
