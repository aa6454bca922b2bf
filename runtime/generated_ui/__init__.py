"""Interfaces that agents generate and clients draw: A2UI surfaces, sandboxed pages, and the apps of MCP servers."""

from .a2ui import A2UI

__all__ = ["A2UI"]
