"""The tool calls of one answer, from the pieces in which vendors stream them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

from ..runtime.call_ids import CallIds
from ..runtime.events import Event, ToolCallArgs, ToolCallEnd, ToolCallStart
from .call_pieces import CallPieces


class CallAssembler:
    """Turns pieces of calls into events: each call opened once, with its whole name, and closed once.

    A piece belongs to the call of its id, else of its number, else to the last one. A new call begins where a name
    comes after complete arguments, or an id that is not the call's. A call that is sent twice is one call.

    Args:
        ids: Gives calls their ids.
        before: Returns the events that close what is open before a call is opened.
        parent: Returns the id of the message that the calls belong to.
        tools: The names of the tools that can be called, if they are known.
    """

    def __init__(
        self,
        ids: CallIds,
        before: Callable[[], list[Event]],
        parent: Callable[[], str],
        tools: Collection[str] = (),
    ) -> None:
        self._ids = ids
        self._before = before
        self._parent = parent
        self._tools = frozenset(tools)
        self._calls: list[CallPieces] = []
        self._unended: dict[CallPieces, None] = {}
        """Those that may still have to be opened or ended, in their order."""
        self._by_id: dict[str, CallPieces] = {}
        self._by_key: dict[Hashable, CallPieces] = {}

    def start(
        self, key: Hashable, name: str, vendor_id: str | None, details: Mapping[str, Any] | None = None
    ) -> list[Event]:
        """Begin a call whose name is whole. It ends the call that ``key`` stood for."""
        events = self.end(key)
        earlier = self._by_id.get(vendor_id or "")
        call = self._begin(key, vendor_id, earlier if earlier is not None and earlier.complete else None)
        call.take(vendor_id, name, None)
        call.details.update(details or {})
        return [*events, *self._open(call)] if call.twin is None else events

    def piece(
        self,
        key: Hashable | None,
        vendor_id: str | None,
        name: str | None,
        arguments: str | None,
        details: Mapping[str, Any] | None = None,
    ) -> list[Event]:
        """Begin a call or go on with one.

        Args:
            key: The call's number, if the vendor counts.
            vendor_id: The call's id, which may come with any piece.
            name: The tool, likewise, or more of its name.
            arguments: More of the arguments' JSON text.
            details: What else the vendor sends with the call.
        """
        call = self._continued(key, vendor_id, name, arguments)
        if call is None:
            if not (vendor_id or name):
                return []
            call = self._begin(key, vendor_id, self._twin(key, vendor_id, name))
        elif vendor_id:
            self._by_id.setdefault(vendor_id, call)
        call.take(vendor_id, name, arguments)
        call.details.update(details or {})
        return self._advance(call)

    def arguments(self, key: Hashable, delta: str) -> list[Event]:
        """Go on with the arguments of the call that ``key`` stands for, if there is one."""
        call = self._by_key.get(key)
        if call is None or call.ended:
            return []
        call.take(None, None, delta)
        return self._advance(call)

    def end(self, key: Hashable) -> list[Event]:
        """End the call that ``key`` stands for, if there is one."""
        call = self._by_key.get(key)
        return [] if call is None else self._end(call)

    def end_all(self) -> list[Event]:
        """End all calls: the answer is complete."""
        return [event for call in self._calls for event in self._end(call)]

    def details(self) -> dict[str, dict[str, Any]]:
        """Return the ids towards clients of the calls that were opened, with what the vendor sent beside each."""
        return {call.id: call.details for call in self._calls if call.id is not None}

    @property
    def _last(self) -> CallPieces | None:
        return self._calls[-1] if self._calls else None

    def _begin(self, key: Hashable | None, vendor_id: str | None, twin: CallPieces | None) -> CallPieces:
        call = CallPieces(key, twin)
        self._calls.append(call)
        self._unended[call] = None
        if vendor_id:
            self._by_id[vendor_id] = call
        if key is not None:
            self._by_key[key] = call
        return call

    def _continued(
        self, key: Hashable | None, vendor_id: str | None, name: str | None, arguments: str | None
    ) -> CallPieces | None:
        earlier = self._by_id.get(vendor_id or "")
        if earlier is not None:
            again = earlier.complete and not earlier.is_placeholder and bool(name or (arguments or "").strip())
            return None if again or earlier.ended else earlier
        numbered = self._by_key.get(key) if key is not None else self._last
        if numbered is None or self._is_another(numbered, key, vendor_id, name):
            return None
        return numbered

    def _is_another(self, numbered: CallPieces, key: Hashable | None, vendor_id: str | None, name: str | None) -> bool:
        if vendor_id and numbered.vendor_id:
            return bool(name) or key is None or numbered.complete
        if name and numbered.complete:
            return True
        return not numbered.written and name != numbered.name and name in self._tools and numbered.name in self._tools

    def _twin(self, key: Hashable | None, vendor_id: str | None, name: str | None) -> CallPieces | None:
        earlier = self._by_id.get(vendor_id or "")
        if vendor_id or earlier is not None:
            return earlier
        numbered = self._by_key.get(key) if key is not None else self._last
        return numbered if numbered is not None and numbered.complete and numbered.name == name else None

    def _advance(self, call: CallPieces) -> list[Event]:
        if not call.opened:
            return self._open(call) if self._is_ready(call) else []
        delta = call.unsent()
        return [ToolCallArgs(tool_call_id=str(call.id), delta=delta)] if delta else []

    # A name may still go on, until arguments come behind it or it can be no other tool's beginning.
    def _is_ready(self, call: CallPieces) -> bool:
        if call.twin is not None:
            return call.complete and not call.repeats_twin()
        if not call.name:
            return False
        if call.complete or not self._tools:
            return call.written
        return call.name in self._tools and (call.written or self._is_unambiguous(call.name))

    def _is_unambiguous(self, name: str) -> bool:
        return not any(tool.startswith(name) and tool != name for tool in self._tools)

    def _open(self, call: CallPieces) -> list[Event]:
        events = [*self._before(), *self._settle_before(call)]
        call.id = self._ids.assign(call.vendor_id)
        events.append(ToolCallStart(tool_call_id=call.id, tool_call_name=call.name, parent_message_id=self._parent()))
        return [*events, *self._advance(call)]

    # A vendor may send the pieces of parallel calls in turns, so a call whose arguments are incomplete stays open.
    def _settle_before(self, call: CallPieces) -> list[Event]:
        events: list[Event] = []
        for earlier in list(self._unended):
            if earlier is call:
                break
            if earlier.complete or (not earlier.opened and not earlier.written and self._is_named(earlier)):
                events += self._end(earlier) if earlier.complete else self._open(earlier)
        return events

    def _is_named(self, call: CallPieces) -> bool:
        return call.twin is None and bool(call.name) and (not self._tools or call.name in self._tools)

    def _end(self, call: CallPieces) -> list[Event]:
        if call.ended:
            return []
        events: list[Event] = []
        if not call.opened:
            if not call.name or call.repeats_twin():
                return self._drop(call)
            events = self._open(call)
        self._note_end(call)
        rest, id_ = call.rest(), str(call.id)
        missing: list[Event] = [ToolCallArgs(tool_call_id=id_, delta=rest)] if rest else []
        return [*events, *missing, ToolCallEnd(tool_call_id=id_)]

    def _note_end(self, call: CallPieces) -> None:
        call.ended = True
        self._unended.pop(call, None)

    def _drop(self, call: CallPieces) -> list[Event]:
        self._note_end(call)
        if call.twin is not None:
            call.twin.details.update(call.details)
        return []
