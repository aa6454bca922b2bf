"""What the author of a provider needs to prove it: a guest that behaves in known ways, and what must hold for it."""

from .conformance import CHECKS, Check
from .guest import AGENT, Behaviour, Guest
from .service import Request, Script, ScriptedService, head

__all__ = ["AGENT", "CHECKS", "Behaviour", "Check", "Guest", "Request", "Script", "ScriptedService", "head"]
