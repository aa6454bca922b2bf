"""Draw the pages that agents generate for a client's sandbox, while they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

import structlog

from .. import events
from ..predictions import PartialArguments
from ..runs.stages import Emit, Stage

log = structlog.get_logger(__name__)

SANDBOX_TOOL = "generateSandboxedUi"
"""The tool that clients bring, and run, once the runtime declares that it draws."""
ACTIVITY = "open-generative-ui"
CHUNK = 256
"""How many characters of HTML are gathered before they are sent."""

_TEXTS = ("css", "jsFunctions")
_LISTS = ("placeholderMessages", "jsExpressions")
_COMPLETED = frozenset({"css", "jsFunctions", "jsExpressions", "html"})


class SandboxStage(Stage):
    """Follows the arguments of each call of the client's tool with what is to be drawn of them.

    The call itself goes on once there is something to draw, so that clients show the drawing first.

    Args:
        emit: Where events go on to.
        max_bytes: How long the arguments of a call may be.
    """

    def __init__(self, emit: Emit, *, max_bytes: int) -> None:
        super().__init__(emit)
        self._max_bytes = max_bytes
        self._drawings: dict[str, _Drawing] = {}

    async def feed(self, event: events.Event) -> None:
        """Take the next event."""
        if type(event) is events.TextMessageContent:  # nearly all there is
            await self.emit(event)
            return
        match event:
            case events.ToolCallStart() if event.tool_call_name == SANDBOX_TOOL:
                self._drawings[event.tool_call_id] = _Drawing(event, self._max_bytes)
            case events.ToolCallArgs() if event.tool_call_id in self._drawings:
                await self._follow(self._drawings[event.tool_call_id], event)
            case events.ToolCallEnd() if event.tool_call_id in self._drawings:
                await self._end(self._drawings.pop(event.tool_call_id), event)
            case _:
                await self.emit(event)

    async def finish(self) -> None:
        """Hand on what is still held back."""
        for drawing in self._drawings.values():
            await self._emit_all(drawing.release())

    async def _follow(self, drawing: _Drawing, event: events.ToolCallArgs) -> None:
        await self._emit_all(drawing.append(event.delta))
        await self._pass(drawing, event)

    async def _end(self, drawing: _Drawing, event: events.ToolCallEnd) -> None:
        await self._emit_all(drawing.finish())
        await self._emit_all(drawing.release())
        await self.emit(event)

    async def _pass(self, drawing: _Drawing, event: events.Event) -> None:
        drawing.held.append(event)
        if drawing.begun or drawing.overlong:
            await self._emit_all(drawing.release())

    async def _emit_all(self, given: Iterable[events.Event]) -> None:
        for event in given:
            await self.emit(event)


class _Drawing:
    """What one call draws.

    Args:
        start: The call's beginning, which is held back at first.
        max_bytes: How long its arguments may be.
    """

    def __init__(self, start: events.ToolCallStart, max_bytes: int) -> None:
        self.held: list[events.Event] = [start]
        self.begun = False
        """Whether there is something to draw."""
        self.overlong = False
        self._id = f"{start.tool_call_id}-activity"
        self._left = max_bytes
        self._arguments = PartialArguments()
        self._read: dict[str, Any] = {}
        self._done: set[str] = set()
        self._html: int | None = None
        self._lists: dict[str, int] = {}

    def release(self) -> list[events.Event]:
        """Return what is held back, and hold it no longer."""
        held, self.held = self.held, []
        return held

    def append(self, delta: str) -> Iterator[events.Event]:
        """Take the arguments that follow, and yield what is to be drawn of them."""
        self._left -= len(delta)
        if self._left < 0:
            if not self.overlong:
                self.overlong = True
                log.warning("generated_ui_too_large", message_id=self._id)
            return
        self._arguments.append(delta)
        arguments = self._arguments.read_grown()
        if arguments is not None:
            yield from self._draw(arguments, complete=False)

    def finish(self) -> Iterator[events.Event]:
        """Yield what is left to draw, and that the drawing is complete."""
        if not self.overlong:
            yield from self._draw(self._arguments.read_rest() or self._read, complete=True)
        if self.begun:
            yield self._delta([_add("generating", False)])

    def _draw(self, arguments: dict[str, Any], *, complete: bool) -> Iterator[events.Event]:
        self._read = arguments
        last = None if complete else next(reversed(arguments), None)
        patch = [change for key, value in arguments.items() for change in self._changes(key, value, whole=key != last)]
        if patch and not self.begun:
            self.begun = True
            yield events.ActivitySnapshot(message_id=self._id, activity_type=ACTIVITY, content={"generating": True})
        if patch:
            yield self._delta(patch)

    def _changes(self, key: str, value: Any, *, whole: bool) -> Iterator[dict[str, Any]]:
        if key in self._done:
            return
        if key == "html" and isinstance(value, str):
            yield from self._chunks(value, whole=whole)
        elif key in _LISTS and isinstance(value, list):
            yield from self._entries(key, value if whole else value[:-1])
        elif whole and self._is_shown(key, value):
            yield _add(key, value)
        if whole:
            self._done.add(key)
            if key in _COMPLETED:
                yield _add(f"{key}Complete", True)

    def _is_shown(self, key: str, value: Any) -> bool:
        if key == "initialHeight":
            return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        return key in _TEXTS and isinstance(value, str)

    def _chunks(self, html: str, *, whole: bool) -> Iterator[dict[str, Any]]:
        shown = self._html or 0
        if html and (whole or len(html) - shown >= CHUNK):
            if self._html is None:
                yield _add("html", [])
            if len(html) > shown:
                yield _add("html/-", html[shown:])
            self._html = len(html)

    def _entries(self, key: str, entries: list[Any]) -> Iterator[dict[str, Any]]:
        shown = self._lists.get(key)
        if shown is None:
            yield _add(key, [])
        for entry in entries[shown or 0 :]:
            yield _add(f"{key}/-", entry if isinstance(entry, str) else str(entry))
        self._lists[key] = len(entries)

    def _delta(self, patch: list[dict[str, Any]]) -> events.Event:
        return events.ActivityDelta(message_id=self._id, activity_type=ACTIVITY, patch=patch)


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/{path}", "value": value}
