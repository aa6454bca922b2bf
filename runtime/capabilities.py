"""What agents can do, in AG-UI's categories (https://docs.ag-ui.com/concepts/capabilities)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import structlog

from .provider import AgentDescriptor, AgentProvider

log = structlog.get_logger(__name__)

Capabilities: TypeAlias = dict[str, Any]


def capabilities_of(provider: AgentProvider, descriptor: AgentDescriptor) -> Capabilities:
    """Return what clients learn of an agent: what the runtime does for all, what its provider knows, what it declares.

    A category of the agent's own adds to the provider's, and wins key by key. What is not known is left out. An agent
    whose provider fails is described by what it declares.
    """
    try:
        reported = [_for_all(provider, descriptor), provider.capabilities(descriptor.name)]
    except Exception:
        log.exception("capabilities_not_known", provider=provider.name, agent=descriptor.name)
        reported = []
    return _joined(*reported, descriptor.capabilities)


def media_input(takes: frozenset[str]) -> Capabilities:
    """Return the category of attachments for what an agent takes."""
    document = "document" in takes
    kinds = {kind: kind in takes for kind in ("image", "audio", "video")}
    return {"input": {**kinds, "pdf": document, "file": document}}


def _for_all(provider: AgentProvider, descriptor: AgentDescriptor) -> Capabilities:
    return {
        "identity": {"name": descriptor.name, "description": descriptor.description, "type": provider.name},
        "transport": {"streaming": True, "resumable": True},
        "state": {"persistentState": True},
        "multimodal": media_input(provider.accepts(descriptor.name)),
    }


def _joined(*given: Mapping[str, Any]) -> Capabilities:
    joined: Capabilities = {}
    for capabilities in given:
        for category, value in capabilities.items():
            earlier = joined.get(category)
            both = isinstance(earlier, dict) and isinstance(value, Mapping)
            joined[category] = {**earlier, **value} if both and isinstance(earlier, dict) else value
    return joined
