"""A2UI towards agents: the tool that draws a surface, how to use it, and what people do on surfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..context import ContextItem, Tool
from ..messages import Message, ToolCallMessage, ToolResultMessage, new_id

RENDER_TOOL = "render_a2ui"
ACTION_TOOL = "log_a2ui_event"
"""The tool whose calls, which nobody makes, report to agents what a person did on a surface."""
BASIC_CATALOG = "https://a2ui.org/specification/v0_9/basic_catalog.json"
CATALOG_AVAILABLE = "a2uiCatalogAvailable"
"""The property by which a client that brings a catalog of its own asks for surfaces."""
USER_ACTION = "a2uiAction"

CATALOG_CONTEXT = (
    "A2UI Component Schema — available components for generating UI surfaces. Use these component names and properties"
    " when creating A2UI operations."
)
"""The description of the context that holds the catalog. Clients and agents look for these very words."""


class A2UI(msgspec.Struct, frozen=True, kw_only=True):
    """How agents draw A2UI surfaces.

    Args:
        agents: The agents that may; None for all. The model is ``default``.
        inject_tool: Whether agents are offered the tool that draws, or the name under which they are; None: those whose
            client brings a catalog.
        tool_names: The names of agents' own tools whose arguments are a surface.
        catalog_id: The catalog of the components; None for the client's, or else A2UI's basic one.
        schema: The catalog itself, shown to agents: a list of components, or ``{"catalogId": ..., "components": ...}``.
    """

    agents: tuple[str, ...] | None = None
    inject_tool: bool | str | None = None
    tool_names: tuple[str, ...] = (RENDER_TOOL,)
    catalog_id: str | None = None
    schema: list[Any] | dict[str, Any] | None = None

    def offered_tool(self, *, has_catalog: bool) -> str | None:
        """Return the name of the tool that agents are offered, if they are."""
        if isinstance(self.inject_tool, str) and self.inject_tool:
            return self.inject_tool
        return RENDER_TOOL if self.inject_tool or (self.inject_tool is None and has_catalog) else None


def render_tool(name: str) -> Tool:
    """Return the tool that draws a surface."""
    components = {
        "type": "array",
        "items": {"type": "object"},
        "description": "All components of the surface in one flat list; the outermost has the id 'root'.",
    }
    return Tool(
        name=name,
        description="Shows the user an interface: an A2UI v0.9 surface. How to write one is explained in the context.",
        parameters={
            "type": "object",
            "properties": {
                "surfaceId": {"type": "string", "description": "A name for the surface that no other one has."},
                "components": components,
                "data": {"type": "object", "description": "The data that components refer to by path."},
            },
            "required": ["surfaceId", "components"],
        },
    )


_GUIDE = """\
Call `{name}` with a `surfaceId`, a list of `components` and, where components refer to data, the `data`.

- Components are a flat list of objects. Each has an `id` of its own and its type in `component`, one of the types in \
the component schema. Its properties stand beside these two.
- The outermost component has the id `root` and arranges others: a Column, a Row, a Card.
- Components contain others by id: `"children": ["a", "b"]`, or `"child": "a"` where there is room for one.
- `{{"path": "/key"}}` in the place of a value refers to the data.
- `"children": {{"componentId": "entry", "path": "/items"}}` repeats a component for each item of a list; inside, \
paths without a leading slash refer to the item.
- `"action": {{"event": {{"name": "chosen", "context": {{}}}}}}` reports what the user does.
- Do not choose a catalog, and do not invent addresses of images.

{{"surfaceId": "weather", "components": [{{"id": "root", "component": "Column", "children": ["title", "now"]}}, \
{{"id": "title", "component": "Text", "text": "Bonn"}}, {{"id": "now", "component": "Text", "text": \
{{"path": "/now"}}}}], "data": {{"now": "Sunny"}}}}
"""


def guide_context(name: str) -> ContextItem:
    """Return what agents read about the use of the tool."""
    return ContextItem(description=f"How to call {name}.", value=_GUIDE.format(name=name))


def with_catalog(context: Sequence[ContextItem], schema: Any) -> list[ContextItem]:
    """Return the context with the application's catalog in place of the client's, if the application has one."""
    if not schema or (isinstance(schema, dict) and not schema.get("components")):
        return list(context)
    others = [item for item in context if item.description != CATALOG_CONTEXT]
    return [*others, ContextItem(description=CATALOG_CONTEXT, value=msgspec.json.encode(schema).decode())]


def client_catalog_id(context: Sequence[ContextItem]) -> str | None:
    """Return the id of the catalog that the client has, if it names one."""
    for item in context:
        if item.description == CATALOG_CONTEXT:
            try:
                catalog = msgspec.json.decode(item.value)
            except msgspec.DecodeError:
                return None
            id_ = catalog.get("catalogId") if isinstance(catalog, dict) else None
            return id_ if isinstance(id_, str) and id_ else None
    return None


def action_messages(properties: Mapping[str, Any]) -> list[Message]:
    """Return what a person did on a surface as a call and its result; nothing if the client reports nothing."""
    reported = properties.get(USER_ACTION)
    action = reported.get("userAction") if isinstance(reported, Mapping) else None
    if not isinstance(action, Mapping):
        return []
    call = ToolCallMessage(id=new_id(), name=ACTION_TOOL, arguments=dict(action))
    result = ToolResultMessage(tool_call_id=call.id, tool_name=ACTION_TOOL, result=_action_text(action))
    return [call, result]


def _action_text(action: Mapping[str, Any]) -> str:
    name, surface = action.get("name") or "unknown_action", action.get("surfaceId") or "unknown_surface"
    component = action.get("sourceComponentId")
    place = f', component "{component}"' if component else ""
    context = msgspec.json.encode(action.get("context") or {}).decode()
    return f'The user did "{name}" on the surface "{surface}"{place}. Context: {context}'
