"""JSON Schemas of a graph's state, for clients' types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from pydantic.errors import PydanticUserError

from ...runtime.provider import StateSchemas
from .schema import OWN_KEYS, Graph, GraphSchema

log = structlog.get_logger(__name__)


def state_schemas(agent_name: str, graph: Graph, schema: GraphSchema) -> StateSchemas:
    """Return the schemas of what clients see and may set of a graph's state.

    Args:
        agent_name: The agent, for the log.
        graph: The graph.
        schema: Its keys.
    """
    return StateSchemas(
        shown=_without(agent_name, graph.get_output_jsonschema, lambda key: not schema.shows(key)),
        taken=_without(agent_name, graph.get_input_jsonschema, lambda key: key in OWN_KEYS),
    )


def _without(
    agent_name: str, made: Callable[[], dict[str, Any]], hidden: Callable[[str], bool]
) -> dict[str, Any] | None:
    try:
        schema = made()
    except PydanticUserError as error:
        log.warning("state_has_no_schema", agent=agent_name, reason=error.message)
        return None
    return visible(schema, hidden)


def visible(schema: Any, hidden: Callable[[str], bool]) -> dict[str, Any] | None:
    """Return a schema without the properties that are hidden; None if it is not an object's."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return None
    shown = {key: value for key, value in properties.items() if not hidden(key)}
    required = [key for key in schema.get("required", ()) if key in shown]
    return {**schema, "properties": shown, "required": required}
