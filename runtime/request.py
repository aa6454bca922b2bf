"""A client's request for a run, in the runtime's own terms."""

from __future__ import annotations

from typing import Any

import msgspec

from .context import RunContext, RunInput, Tool


class FrontendAction(msgspec.Struct, kw_only=True, frozen=True):
    """An action that the client offers. ``remote`` ones are for agents only."""

    tool: Tool
    remote: bool = False


class RunRequest(msgspec.Struct, kw_only=True):
    """One request for a run: ``agent_name`` is None when the model shall answer."""

    agent_name: str | None
    input: RunInput
    context: RunContext
    frontend_actions: list[FrontendAction] = []
    cloud: dict[str, Any] | None = None
    cloud_key: str | None = None
    thread_name: str | None = None
    """What people are to see of the thread, if it has no name yet."""
    sends_part: bool = False
    """Whether the client may have sent only a part of the thread: what it left out is still there."""
    ephemeral: bool = False
    """Whether nothing of the run is kept, nobody waits for its thread, and no hook is called."""
