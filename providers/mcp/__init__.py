"""MCP servers, whose tools become actions."""

from .server import MCPServer
from .source import MCPSource

__all__ = ["MCPServer", "MCPSource"]
