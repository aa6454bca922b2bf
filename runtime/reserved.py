"""The names in a client's configuration that are not the client's to set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIXES = ("__", "langgraph_", "langsmith_", "ls_", "copilotkit", "checkpoint_", "x_")
_NAMES = frozenset(
    {"thread_id", "thread_ts", "run_id", "run_attempt", "assistant_id", "graph_id", "user_id", "auth_user", "identity"}
)
_TRUSTED = ("langgraph_auth", "copilotkit_forwarded")
_PLACES = ("configurable", "metadata", "context")


def is_reserved(name: str) -> bool:
    """Whether a server or framework keeps facts of its own under ``name``: the caller, the thread, the headers."""
    folded = name.strip().lower().replace("-", "_")
    return folded.startswith(_PREFIXES) or folded in _NAMES


def without_reserved(given: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what the client may set."""
    return {name: value for name, value in given.items() if not is_reserved(name)}


def cleaned_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Copy an agent's configuration as a client sent it, without reserved names where frameworks look for them."""
    kept = {name: value for name, value in config.items() if name in _PLACES or not is_reserved(name)}
    return {**kept, **_cleaned_places(kept)}


def cleaned_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a client's properties, which may have any name but those that frameworks trust.

    AG-UI agents find configuration among them, so that it is cleaned as well.
    """
    kept = {name: value for name, value in properties.items() if not name.lower().startswith(_TRUSTED)}
    config = kept.get("config")
    nested = {"config": cleaned_config(config)} if isinstance(config, Mapping) else {}
    return {**kept, **_cleaned_places(kept), **nested}


def _cleaned_places(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: without_reserved(given[name]) for name in _PLACES if isinstance(given.get(name), Mapping)}
