"""Draw the A2UI surfaces that a run's tool calls and their results describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from .. import events
from ..runs.stages import Emit, Stage
from .surface import OPERATIONS, Operation, SurfaceDrawing, SurfaceError, surface_of

SURFACE = "a2ui-surface"
RENDERED = '{"status":"rendered"}'
_EXHAUSTED = "a2ui_recovery_exhausted"


class A2UIStage(Stage):
    """Follows each call that draws a surface with the surface, and each result that holds surfaces with these.

    Clients draw activity messages, not calls. One message shows a surface from its beginning to its end; where a call
    of another tool draws by calls of its own, as agents within agents do, they share one. Calls that draw and that
    nobody answers are answered at the run's end.

    Args:
        emit: Where events go on to.
        tool_names: The tools whose arguments are a surface.
        catalog_id: The catalog of their components.
        max_bytes: How large a surface may be.
    """

    def __init__(self, emit: Emit, *, tool_names: Iterable[str], catalog_id: str, max_bytes: int) -> None:
        super().__init__(emit)
        self._tool_names = frozenset(tool_names)
        self._catalog_id = catalog_id
        self._max_bytes = max_bytes
        self._drawings: dict[str, SurfaceDrawing] = {}
        self._keys: dict[str, str] = {}
        """The calls that draw, and the part of their message's id that distinguishes it from others."""
        self._unanswered: dict[str, str] = {}
        self._outer: str | None = None
        self._surfaces: dict[str, str] = {}
        """The surfaces that calls have drawn, by the keys of their messages."""

    async def feed(self, event: events.Event) -> None:
        """Take the next event."""
        await self.emit(event)
        if type(event) is events.TextMessageContent:  # nearly all there is
            return
        match event:
            case events.ToolCallStart():
                await self._start(event)
            case events.ToolCallArgs():
                await self._follow(event)
            case events.ToolCallEnd():
                await self._end(event)
            case events.ToolCallResult():
                await self._result(event)

    async def finish(self) -> None:
        """Answer the calls that nobody has answered."""
        for call_id, result in self._unanswered.items():
            await self.emit(events.ToolCallResult(tool_call_id=call_id, content=result))
        self._unanswered.clear()

    async def _start(self, event: events.ToolCallStart) -> None:
        if event.tool_call_name not in self._tool_names:
            self._outer = event.tool_call_id
            return
        id_ = event.tool_call_id
        self._drawings[id_] = SurfaceDrawing(self._catalog_id, self._max_bytes)
        key = self._keys[id_] = self._outer or id_
        if key not in self._surfaces:
            await self._show(key, {"status": "building"})

    async def _follow(self, event: events.ToolCallArgs) -> None:
        drawing = self._drawings.get(event.tool_call_id)
        if drawing is None:
            return
        try:
            await self._draw(event.tool_call_id, drawing, drawing.append(event.delta))
        except SurfaceError as error:
            await self._give_up(event.tool_call_id, str(error))

    async def _end(self, event: events.ToolCallEnd) -> None:
        drawing = self._drawings.get(event.tool_call_id)
        if drawing is not None:
            await self._complete(event, drawing)
        if event.broken:
            self._unanswered.pop(event.tool_call_id, None)

    async def _complete(self, event: events.ToolCallEnd, drawing: SurfaceDrawing) -> None:
        if event.broken:
            await self._give_up(event.tool_call_id, "The surface was not completed.")
            return
        try:
            await self._draw(event.tool_call_id, drawing, drawing.finish())
        except SurfaceError as error:
            await self._give_up(event.tool_call_id, str(error))
            return
        del self._drawings[event.tool_call_id]
        self._unanswered[event.tool_call_id] = RENDERED

    async def _draw(self, call_id: str, drawing: SurfaceDrawing, operations: list[Operation] | None) -> None:
        if operations is None or drawing.surface_id is None:
            return
        if self._surfaces.get(self._keys[call_id], drawing.surface_id) != drawing.surface_id:
            self._keys[call_id] = call_id  # another surface than the one that its message shows
        self._surfaces[self._keys[call_id]] = drawing.surface_id
        await self._show(self._keys[call_id], {OPERATIONS: operations})

    async def _give_up(self, call_id: str, reason: str) -> None:
        """Show that there will be no surface, or leave what is drawn of it."""
        self._drawings.pop(call_id)
        self._unanswered[call_id] = msgspec.json.encode({"status": "invalid", "error": reason}).decode()
        if self._keys[call_id] not in self._surfaces:
            await self._show(self._keys[call_id], {"status": "failed", "error": reason, "attempts": []})

    async def _result(self, event: events.ToolCallResult) -> None:
        id_ = event.tool_call_id
        self._unanswered.pop(id_, None)
        if id_ == self._outer:
            self._outer = None
        described = self._described(event.content)
        if described is None:
            return
        if described.get("code") == _EXHAUSTED:
            error, attempts = str(described.get("error") or "No surface was drawn."), described.get("attempts")
            await self._show(id_, {"status": "failed", "error": error, "attempts": attempts or []})
            return
        surfaces = self._undrawn(described[OPERATIONS])
        for surface_id, operations in surfaces.items():
            key = id_ if len(surfaces) == 1 else f"{surface_id}-{id_}"
            await self._show(key, {OPERATIONS: operations})

    def _described(self, content: Any) -> dict[str, Any] | None:
        """Return the object in a result that describes surfaces, if it is one."""
        if not isinstance(content, str) or len(content) > self._max_bytes:
            return None
        if OPERATIONS not in content and _EXHAUSTED not in content:
            return None
        value = _decoded(_decoded(content))  # some frameworks encode texts once more
        if not isinstance(value, dict):
            return None
        return value if isinstance(value.get(OPERATIONS), list) or value.get("code") == _EXHAUSTED else None

    def _undrawn(self, operations: list[Any]) -> Mapping[str, list[Operation]]:
        """Return the operations by their surfaces, without the surfaces that the run has drawn by calls."""
        drawn = frozenset(self._surfaces.values())
        surfaces: dict[str, list[Operation]] = {}
        for operation in operations:
            surface_id = surface_of(operation) if isinstance(operation, dict) else None
            if isinstance(operation, dict) and surface_id not in drawn:
                surfaces.setdefault(surface_id or "default", []).append(operation)
        return surfaces

    async def _show(self, key: str, content: dict[str, Any]) -> None:
        await self.emit(events.ActivitySnapshot(message_id=f"{SURFACE}-{key}", activity_type=SURFACE, content=content))


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return None
