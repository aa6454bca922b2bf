"""LangGraph agents: graphs that run in this process, and graphs on LangGraph servers."""

from ...runtime.errors import MissingExtraError

try:
    import langgraph.pregel as _installed  # noqa: F401
except ImportError as error:
    raise MissingExtraError("The LangGraph provider", "langgraph") from error

from .platform import Deployment, LangGraphPlatformProvider
from .provider import LangGraphProvider

__all__ = ["Deployment", "LangGraphPlatformProvider", "LangGraphProvider"]
