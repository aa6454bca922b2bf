"""Mutation: ``generateCopilotResponse``."""

from __future__ import annotations

from typing import Any

from ariadne import MutationType

from ..wires.graphql.context import Info
from ..wires.graphql.inputs import run_request
from ..wires.graphql.live_response import LiveResponse

mutation = MutationType()


@mutation.field("generateCopilotResponse")
async def generate_copilot_response(
    _root: object, info: Info, data: dict[str, Any], properties: dict[str, Any] | None = None
) -> LiveResponse:
    """Start a run; the answer fills itself while it is read."""
    context = info.context
    request = run_request(data, properties, context.client, context.service.config.forward_headers)
    run = await context.start(request)
    return LiveResponse(thread_id=run.thread_id, run=run)
