"""Events in forms other than the runtime's own: what providers yield that were written for AG-UI."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from inspect import iscoroutine
from typing import Any

from .. import events
from ..agui_events import PARSED, parse_event
from ..agui_expansion import EventExpander
from ..errors import ProtocolError


async def converted(first: Any, rest: AsyncIterator[Any], provider: str) -> AsyncGenerator[events.Event]:
    """Yield the runtime's events for a provider's stream that holds models of ``ag_ui.core`` or mappings.

    Args:
        first: The item that is not one of the runtime's events.
        rest: What comes after it, in any of these forms or the runtime's own.
        provider: The provider's name, for the error's text.

    Raises:
        ProtocolError: If an item is not an event.
    """
    expander = EventExpander()
    for event in expander.expand(_parsed(first, provider)):
        yield event
    async for item in rest:
        for event in expander.expand(_parsed(item, provider)):
            yield event
    for event in expander.close():
        yield event


def check_stream(stream: Any, provider: str) -> None:
    """Check that a provider's run can be followed: a method that is no generator itself may return anything.

    Raises:
        ProtocolError: It is not an asynchronous iterator.
    """
    if not hasattr(stream, "__aiter__"):
        if iscoroutine(stream):
            stream.close()  # or Python warns that nobody awaited it
        raise ProtocolError(
            f"execute_run of provider '{provider}' returned {type(stream).__name__}, which is no stream of events."
            " Write `async def execute_run` and yield the events."
        )


def _parsed(item: Any, provider: str) -> Any:
    if isinstance(item, Mapping) or type(item) in PARSED or (hasattr(item, "model_dump") and hasattr(item, "type")):
        return parse_event(item)
    raise ProtocolError(
        f"Provider '{provider}' yielded {type(item).__name__}, which is not an event. Yield the events of"
        " copilotkit_runtime.events: for text TextMessageStart, TextMessageContent and TextMessageEnd."
    )
