"""Why a target's code could not be loaded, in words."""

from __future__ import annotations

import importlib
import os
import traceback
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from ...runtime.info import DISTRIBUTION
from .extras import extra_of

_PACKAGE = __name__.partition(".")[0]
_PROVIDERS = {
    "LangGraphProvider": "langgraph",
    "LangGraphPlatformProvider": "langgraph",
    "CrewAIProvider": "crewai",
    "AGUIProvider": "agui",
    "AGUIHttpAgent": "agui",
    "RemoteEndpointProvider": "remote",
    "MCPServer": "mcp",
    "ModelProvider": "models",
    "ModelOptions": "models",
}


def cause(error: BaseException) -> str:
    """Return what a target's code did that could not work, as the end of a sentence with its mark.

    Args:
        error: What it raised.
    """
    text = _cause(error)
    return text if text.endswith(("?", "!")) else f"{text}."


def _cause(error: BaseException) -> str:
    match error:
        case SyntaxError(filename=str(file)):
            return f"{Path(file).name} has a syntax error in line {error.lineno}: {error.msg}"
        case ModuleNotFoundError(name=str(name)):
            return _missing(name, error)
        case ImportError(name=str(name)):
            return _circle(name, error) or _misplaced(name, error) or _raised(error)
        case SystemExit():
            return f"it calls sys.exit({'' if error.code is None else repr(error.code)})"
        case KeyError(args=[str(name)]) if _is_of_environment(error):
            return f"it reads the environment variable {name}, which is not set"
        case _:
            return _raised(error)


def _raised(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return f"it raises {type(error).__name__}: {text}" if text else f"it raises {type(error).__name__}"


def _is_of_environment(error: KeyError) -> bool:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_locals.get("self") is os.environ


def _missing(name: str, error: ModuleNotFoundError) -> str:
    root = name.partition(".")[0]
    if f"'{root}' is not a package" in str(error):
        return f"a file named {root}.py hides the package {root}. Rename the file"
    if root != name and root != _PACKAGE and find_spec(root) is not None:
        return f"it imports {name}, which does not exist"
    extra = extra_of(root)
    remedy = "" if extra is None else f". Install it with: pip install '{DISTRIBUTION}[{extra}]'"
    return f"it imports {name}, which is not installed{remedy}"


def _circle(name: str, error: ImportError) -> str:
    """Return whether the module that lacks a name is one that still waits for this very import."""
    waiting = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [module for module in waiting if isinstance(module, str)]
    if not modules or name not in modules[:-1]:
        return ""
    return f"{name} and {modules[-1]} import each other. Move what both need into a third module"


def _misplaced(module: str, error: ImportError) -> str:
    if module.partition(".")[0] != _PACKAGE:
        return ""
    wanted = str(getattr(error, "name_from", None) or _quoted(error))
    if (room := _PROVIDERS.get(wanted)) is not None:
        return f"{wanted} is elsewhere. Write from {_PACKAGE}.providers.{room} import {wanted}"
    close = get_close_matches(wanted, dir(importlib.import_module(module)), n=1)
    return f"{module} has no {wanted}. Did you mean {close[0]}?" if close else ""


def _quoted(error: ImportError) -> str:
    """Return the name that could not be imported; Python 3.11 has it in the text alone."""
    return str(error).partition("cannot import name '")[2].partition("'")[0]
