"""The part of an agent's state that clients see: the same on every wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HIDDEN = frozenset({"messages", "tools", "context", "copilotkit", "ag-ui"})
"""Keys that hold what clients have otherwise: the thread, and what they sent themselves."""


def shown_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an agent's state without what the client itself sent, which adapters keep in the state."""
    return {key: value for key, value in state.items() if key not in HIDDEN}
