"""A run's LangGraph configuration: the graph's own, what the client may set of it, the caller, and what the run is."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any, get_type_hints

import msgspec
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from pydantic import BaseModel

from ...runtime.client_config import ClientConfigRules, allowed_names, recursion_limit
from ...runtime.context import RunContext, RunInput
from .custom_events import HANDLER
from .run_plan import RUN_MARK, client_properties
from .schema import Graph

FORWARDED_HEADERS = "copilotkit_forwarded_headers"
_RULES = ClientConfigRules()

_MAX_REPORTED = 10


class ClientKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The names that a client may set in ``configurable`` and ``context`` of one graph.

    ``declared`` are those of the graph's schema; None if it has none: then ordinary names pass, but for those that the
    application has set on the graph itself (``own``). ``opened`` are those that the application opened for all agents.
    """

    declared: frozenset[str] | None = None
    opened: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    authenticated: bool = True

    def allowed(self, *places: Any) -> dict[str, Any]:
        """Copy what the client may set; later places count more."""
        closed = self.own - self.opened if self.declared is None else ()
        kept: dict[str, Any] = {}
        for place in places:
            kept |= allowed_names(place, declared=self.declared, opened=self.opened, authenticated=self.authenticated)
        return {name: value for name, value in kept.items() if name not in closed}

    def of_graph(self, graph: Graph) -> ClientKeys:
        """Return what clients may set of ``graph``."""
        own = (graph.config or {}).get("configurable") or {}
        return msgspec.structs.replace(self, declared=declared_names(graph.context_schema), own=frozenset(own))


class AuthUser(dict[str, Any]):
    """The authenticated user as LangGraph's own server gives it to graphs: readable by key and by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


def client_configuration(run: RunInput, keys: ClientKeys) -> RunnableConfig:
    """Return what the client may set: ``configurable``, ``metadata``, ``tags`` and, up to a limit, the recursion."""
    given, config = run.config, RunnableConfig(configurable=keys.allowed(run.config.get("configurable")))
    limit = recursion_limit(given)
    if limit is not None:
        config["recursion_limit"] = limit
    others = _RULES.config({name: given[name] for name in ("metadata", "tags") if name in given})
    if "metadata" in others:
        config["metadata"] = others["metadata"]
    if "tags" in others:
        config["tags"] = others["tags"]
    return config


def undeclared_names(run: RunInput, config: RunnableConfig) -> list[str]:
    """Return names that the client set in ``configurable`` and that ``config`` is without; of many, the first."""
    given = run.config.get("configurable")
    names = given if isinstance(given, Mapping) else ()
    return list(islice((name[:64] for name in names if name not in config["configurable"]), _MAX_REPORTED))


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


def run_configuration(run: RunInput, own: RunnableConfig, keys: ClientKeys) -> RunnableConfig:
    """Return the run's own part, laid over what the client set.

    Args:
        run: The run.
        own: Its own part.
        keys: What the client may set.
    """
    return merge_configs(client_configuration(run, keys), own)


def own_configuration(run: RunInput, context: RunContext, headers: Collection[str] | None) -> RunnableConfig:
    """Return a run's own part of its configuration, which no client can set.

    ``configurable.copilotkit`` holds the client's tools, context and properties and the forwarded parameters;
    there, unlike beside it, a saver does not copy them into its metadata.

    Args:
        run: The run.
        context: The caller.
        headers: The names of the request's headers that the graph is given; see ``forwarded_headers``.
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
    return RunnableConfig(configurable=configurable, metadata={RUN_MARK: run.unique_id})


def forwarded_headers(context: RunContext, names: Collection[str] | None) -> dict[str, str]:
    """Return the request's headers of these names; without names, those that begin with ``x-``."""
    return {
        name: value
        for name, value in context.headers.items()
        if (name.startswith("x-") if names is None else name in names)
    }


def shows_subgraphs(run: RunInput, *, otherwise: bool) -> bool:
    """Return whether the client wants to see the messages of subgraphs."""
    given = run.config.get("streamSubgraphs", run.config.get("stream_subgraphs"))
    return given if isinstance(given, bool) else otherwise


def graph_configuration(graph: Graph, config: RunnableConfig) -> RunnableConfig:
    """Return the graph's own configuration under the run's; the graph's callbacks stay."""
    return merge_configs(graph.config, config, {"callbacks": [HANDLER]})


def graph_context(graph: Graph, run: RunInput, context: RunContext, keys: ClientKeys) -> Any:
    """Return the graph's runtime context: of what the client sends, the fields that the graph's schema declares.

    A graph without a context schema gets none: the SDK's middleware would write it into the model's prompt. One whose
    schema has no fields gets ordinary names.
    """
    if graph.context_schema is None:
        return None
    offered = keys.allowed(context.properties, run.config.get("configurable"), run.config.get("context"))
    offered.update(identity_configuration(context))
    return offered if keys.declared is None else {name: offered[name] for name in keys.declared if name in offered}


def declared_names(schema: Any) -> frozenset[str] | None:
    """Return the fields of a graph's context schema; None without one, or if it is a type without fields."""
    if not isinstance(schema, type):
        return None
    if dataclasses.is_dataclass(schema):
        return frozenset(field.name for field in dataclasses.fields(schema) if field.init)
    if issubclass(schema, BaseModel):
        return frozenset(schema.model_fields)
    return frozenset(get_type_hints(schema)) or None
