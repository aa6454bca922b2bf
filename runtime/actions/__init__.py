"""Server-side actions: what they are, where they come from, and how a run executes them."""

from .action import Action, action
from .source import ActionSource

__all__ = ["Action", "ActionSource", "action"]
