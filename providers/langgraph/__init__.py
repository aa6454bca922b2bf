"""LangGraph agents: graphs that run in this process, and graphs on LangGraph servers."""

from ...runtime.optional import optional

with optional("The LangGraph provider", "langgraph"):
    from .memory_options import MemoryOptions
    from .platform import Deployment, LangGraphPlatformProvider
    from .provider import LangGraphProvider

__all__ = ["Deployment", "LangGraphPlatformProvider", "LangGraphProvider", "MemoryOptions"]
