"""CopilotResponse, when it is asked for in one piece: each of its late fields waits for the run's end."""

from __future__ import annotations

from ariadne import ObjectType

from ..wires.graphql.context import Info
from ..wires.graphql.live_response import LiveResponse
from ..wires.graphql.response import ExtensionsResponse, MessageOutput, MetaEvent, Pending, ResponseStatus

copilot_response = ObjectType("CopilotResponse")


@copilot_response.field("extensions")
async def extensions(response: LiveResponse, _info: Info) -> ExtensionsResponse | Pending | None:
    """Return what the provider wants to be sent with the next request."""
    await response.complete()
    return response.extensions


@copilot_response.field("messages")
async def messages(response: LiveResponse, _info: Info) -> list[MessageOutput]:
    """Return all messages of the run."""
    await response.complete()
    return response.messages.items


@copilot_response.field("metaEvents")
async def meta_events(response: LiveResponse, _info: Info) -> list[MetaEvent]:
    """Return all meta events of the run."""
    await response.complete()
    return response.meta_events.items


@copilot_response.field("status")
async def status(response: LiveResponse, _info: Info) -> ResponseStatus | Pending:
    """Return how the run ended."""
    await response.complete()
    return response.status
