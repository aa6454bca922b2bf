"""The command line: ``copilotkit-runtime``."""

from .commands import main

__all__ = ["main"]
