"""Decode what an AG-UI agent yields, in whatever form, into the runtime's events."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ...runtime import events
from ...runtime.agui_events import parse_event, parse_json
from ...runtime.agui_expansion import EventExpander
from ...runtime.errors import CopilotKitError, ErrorCode
from ..event_stream import EventStreamReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ...runtime.events import Event


class EventDecoder:
    """Reads the events of one run.

    An item may be one of the runtime's own events, a model of ``ag_ui.core``, a mapping, the JSON of one
    event, or any piece of an SSE stream, as text or bytes. Chunk events are expanded as AG-UI's clients do.
    """

    def __init__(self) -> None:
        self._reader = EventStreamReader()
        self._expander = EventExpander()

    def decode(self, item: Any) -> list[Event]:
        """Return the events that ``item`` completes.

        Raises:
            ProtocolError: If ``item`` is neither an event nor part of a stream of events.
        """
        if isinstance(item, str | bytes):
            return self._decode_encoded(item)
        return self._expander.expand(parse_event(item))

    def close(self) -> list[Event]:
        """Return the events that the end of the stream completes."""
        last = [event for data in self._reader.close() for event in self._decode_json(data.decode("utf-8", "replace"))]
        return [*last, *self._expander.close()]

    def _decode_encoded(self, item: str | bytes) -> list[Event]:
        if self._reader.between_events and item[:1] in ("{", b"{"):
            return self._decode_json(item)
        complete = self._reader.feed_text(item) if isinstance(item, str) else self._reader.feed(item)
        return [event for data in complete for event in self._decode_json(data.decode("utf-8", "replace"))]

    def _decode_json(self, data: str | bytes) -> list[Event]:
        return self._expander.expand(parse_json(data))


async def decode_stream(items: AsyncGenerator[Any]) -> AsyncGenerator[Event]:
    """Yield the events of one run, from the items that its agent yields, and close ``items`` at the end.

    Raises:
        CopilotKitError: If the agent reports that its run failed. Its text is the agent's own, which AG-UI
            means to be shown.
    """
    decoder = EventDecoder()
    async with aclosing(items) as source:
        async for item in source:
            for event in decoder.decode(item):
                yield _unless_failed(event)
    for event in decoder.close():
        yield _unless_failed(event)


def _unless_failed(event: Event) -> Event:
    if type(event) is events.RunError:
        raise _failure(event)
    return event


def _failure(event: events.RunError) -> CopilotKitError:
    code = next((code for code in ErrorCode if code == event.code), None)
    return CopilotKitError(event.message, code=code, original_type=event.code)
