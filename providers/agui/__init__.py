"""Agents that speak AG-UI (https://docs.ag-ui.com): behind a URL, or in this process."""

from ...runtime.optional import optional

with optional("The AG-UI provider", "agui"):
    from .http import AGUIHttpAgent
    from .provider import AGUIProvider, InProcessAgent

__all__ = ["AGUIHttpAgent", "AGUIProvider", "InProcessAgent"]
