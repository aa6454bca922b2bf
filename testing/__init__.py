"""Conformance tests for providers: a guest to set up, and the checks."""

from .conformance import CHECKS, Check
from .guest import AGENT, Behaviour, Guest
from .service import Request, Script, ScriptedService, head

__all__ = ["AGENT", "CHECKS", "Behaviour", "Check", "Guest", "Request", "Script", "ScriptedService", "head"]
