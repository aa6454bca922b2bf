"""A run's LangGraph configuration: the graph's own, what the client may set of it, the caller, and what the run is."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, get_type_hints

import msgspec
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from pydantic import BaseModel

from ...runtime.context import RunContext, RunInput
from ...runtime.reserved import without_reserved
from .custom_events import HANDLER
from .run_plan import RUN_MARK, client_properties
from .schema import Graph

FORWARDED_HEADERS = "copilotkit_forwarded_headers"
MAX_RECURSION_LIMIT = 500
"""The highest recursion limit that a client may ask for; a graph's own configuration may go beyond."""
_MAX_TAGS = 50
_MAX_TAG_LENGTH = 200


class AuthUser(dict[str, Any]):
    """The authenticated user as LangGraph's own server gives it to graphs: readable by key and by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


def page_configuration(run: RunInput) -> RunnableConfig:
    """Return what the client may set: ``configurable``, ``metadata``, ``tags`` and, up to a limit, the recursion."""
    given, config = run.config, RunnableConfig()
    limit = given.get("recursion_limit", given.get("recursionLimit"))
    if isinstance(limit, (int, float)) and limit >= 1:
        config["recursion_limit"] = int(min(limit, MAX_RECURSION_LIMIT))
    if isinstance(given.get("metadata"), Mapping):
        config["metadata"] = without_reserved(given["metadata"])
    if isinstance(given.get("tags"), list):
        config["tags"] = [str(tag)[:_MAX_TAG_LENGTH] for tag in given["tags"][:_MAX_TAGS]]
    configurable = given.get("configurable")
    config["configurable"] = without_reserved(configurable) if isinstance(configurable, Mapping) else {}
    return config


def identity_configuration(context: RunContext) -> dict[str, Any]:
    """Return the identity under the names that LangGraph's own server uses; nothing without authentication."""
    if context.identity is None:
        return {}
    user = AuthUser(
        dict(context.claims),
        identity=context.identity,
        is_authenticated=True,
        display_name=str(context.claims.get("name") or context.identity),
        permissions=_permissions(context.claims),
    )
    return {
        "langgraph_auth_user": user,
        "langgraph_auth_user_id": context.identity,
        "langgraph_auth_permissions": user["permissions"],
    }


def _permissions(claims: Mapping[str, Any]) -> list[str]:
    """Return what the user may do, as issuers write it: a list, or OAuth's words with spaces between them."""
    given = claims.get("permissions", claims.get("scope", ()))
    listed = given.split() if isinstance(given, str) else given
    return [str(each) for each in listed] if isinstance(listed, (list, tuple)) else []


def run_configuration(run: RunInput, context: RunContext, headers: Collection[str] | None) -> RunnableConfig:
    """Return the run's own part, laid over what the client set.

    ``configurable.copilotkit`` holds the page's tools, context and properties and the forwarded parameters;
    there, unlike beside it, a saver does not copy them into its metadata.
    """
    forwarded = forwarded_headers(context, headers)
    configurable: dict[str, Any] = {
        "thread_id": run.thread_id,
        "copilotkit": {
            **client_properties(run),
            "properties": context.properties,
            "forwarded_parameters": msgspec.to_builtins(run.forwarded),
        },
        **identity_configuration(context),
    }
    if forwarded:
        configurable[FORWARDED_HEADERS] = forwarded
    own = RunnableConfig(configurable=configurable, metadata={RUN_MARK: run.unique_id})
    return merge_configs(page_configuration(run), own)


def forwarded_headers(context: RunContext, names: Collection[str] | None) -> dict[str, str]:
    """Return the request's headers of these names; without names, those that begin with ``x-``."""
    return {
        name: value
        for name, value in context.headers.items()
        if (name.startswith("x-") if names is None else name in names)
    }


def shows_subgraphs(run: RunInput, *, otherwise: bool) -> bool:
    """Whether the page wants to see what subgraphs say."""
    given = run.config.get("streamSubgraphs", run.config.get("stream_subgraphs"))
    return given if isinstance(given, bool) else otherwise


def graph_configuration(graph: Graph, config: RunnableConfig) -> RunnableConfig:
    """Return the graph's own configuration under the run's; the graph's callbacks stay."""
    return merge_configs(graph.config, config, {"callbacks": [HANDLER]})


def graph_context(graph: Graph, run: RunInput, context: RunContext) -> Any:
    """Return the graph's runtime context: of what the client sends, the fields that the graph's schema declares.

    A graph without a context schema gets none: the SDK's middleware would write it into the model's prompt.
    """
    if graph.context_schema is None:
        return None
    places = (context.properties, run.config.get("configurable"), run.config.get("context"))
    offered: dict[str, Any] = {}
    for place in places:
        offered.update(without_reserved(place) if isinstance(place, Mapping) else {})
    offered.update(identity_configuration(context))
    return {name: offered[name] for name in _fields(graph.context_schema) if name in offered}


def _fields(schema: type[Any]) -> Collection[str]:
    if dataclasses.is_dataclass(schema):
        return [field.name for field in dataclasses.fields(schema) if field.init]
    if issubclass(schema, BaseModel):
        return list(schema.model_fields)
    return list(get_type_hints(schema))
