"""A run's LangGraph configuration: the graph's own, what the page may set of it, and what the run is."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, get_type_hints

import msgspec
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from pydantic import BaseModel

from ...runtime.context import RunContext, RunInput
from .custom_events import HANDLER
from .run_plan import page_properties
from .schema import Graph

_OWNED = frozenset({"run_id", "thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "copilotkit"})
FORWARDED_HEADERS = "copilotkit_forwarded_headers"


def page_configuration(run: RunInput) -> RunnableConfig:
    """What the page may set: ``configurable``, ``metadata``, ``tags`` and the recursion limit."""
    told, config = run.config, RunnableConfig()
    limit = told.get("recursion_limit", told.get("recursionLimit"))
    if isinstance(limit, (int, float)) and limit >= 1:
        config["recursion_limit"] = int(limit)
    if isinstance(told.get("metadata"), Mapping):
        config["metadata"] = {k: v for k, v in told["metadata"].items() if k not in _OWNED}
    if isinstance(told.get("tags"), list):
        config["tags"] = [str(tag) for tag in told["tags"]]
    config["configurable"] = _page_configurable(told.get("configurable"))
    return config


def _page_configurable(told: Any) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        return {}
    return {key: value for key, value in told.items() if key not in _OWNED and not key.startswith("__")}


def run_configuration(run: RunInput, context: RunContext, headers: Collection[str] | None) -> RunnableConfig:
    """The run's own part, over what the page set.

    ``configurable.copilotkit`` holds the page's tools, context and properties and the forwarded parameters;
    there, unlike beside it, a saver does not copy them into its metadata.
    """
    forwarded = forwarded_headers(context, headers)
    configurable: dict[str, Any] = {
        "thread_id": run.thread_id,
        "copilotkit": {
            **page_properties(run),
            "properties": context.properties,
            "forwarded_parameters": msgspec.to_builtins(run.forwarded),
        },
    }
    if forwarded:
        configurable[FORWARDED_HEADERS] = forwarded
    return merge_configs(page_configuration(run), {"configurable": configurable})


def forwarded_headers(context: RunContext, names: Collection[str] | None) -> dict[str, str]:
    """The request's headers of these names; without names, those that begin with ``x-``."""
    return {
        name: value
        for name, value in context.headers.items()
        if (name.startswith("x-") if names is None else name in names)
    }


def shows_subgraphs(run: RunInput, *, otherwise: bool) -> bool:
    """Whether the page wants to see what subgraphs say."""
    told = run.config.get("streamSubgraphs", run.config.get("stream_subgraphs"))
    return told if isinstance(told, bool) else otherwise


def graph_configuration(graph: Graph, config: RunnableConfig) -> RunnableConfig:
    """The graph's own configuration under the run's; the graph's callbacks stay."""
    return merge_configs(graph.config, config, {"callbacks": [HANDLER]})


def graph_context(graph: Graph, run: RunInput, context: RunContext) -> Any:
    """The graph's runtime context: of what the page sends, the fields that the graph's schema declares.

    A graph without a context schema gets none: the SDK's middleware would write it into the model's prompt.
    """
    if graph.context_schema is None:
        return None
    configurable = run.config.get("configurable")
    told = run.config.get("context")
    offered = {
        **context.properties,
        **(configurable if isinstance(configurable, Mapping) else {}),
        **(told if isinstance(told, Mapping) else {}),
    }
    return {name: offered[name] for name in _fields(graph.context_schema) if name in offered}


def _fields(schema: type[Any]) -> Collection[str]:
    if dataclasses.is_dataclass(schema):
        return [field.name for field in dataclasses.fields(schema) if field.init]
    if issubclass(schema, BaseModel):
        return list(schema.model_fields)
    return list(get_type_hints(schema))
