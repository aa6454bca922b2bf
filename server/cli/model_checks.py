"""Checks of what agents' models need: API keys and packages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Literal

from ...providers.models import ModelProvider
from ...runtime.errors import CopilotKitError, MissingVariableError
from ..runtime import CopilotRuntime
from .finding import Finding

_KEYS = {
    "openai": ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "langchain_google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "langchain_mistralai": ("MISTRAL_API_KEY",),
    "cohere": ("COHERE_API_KEY",),
    "langchain_deepseek": ("DEEPSEEK_API_KEY",),
    "langchain_xai": ("XAI_API_KEY",),
}
"""The variables of each vendor, by the package that reads them; one of them is enough."""


def check_keys() -> Iterator[Finding]:
    """Look for the API keys of the vendors whose packages have been imported by now, as by a target."""
    present = [key for keys in _KEYS.values() for key in keys if os.environ.get(key)]
    missing = [module for module, keys in _KEYS.items() if module in sys.modules and not set(keys) & set(present)]
    if present:
        yield Finding("ok", f"keys: {', '.join(present)} set")
    for module in missing:
        fact = f"{module} is imported, and {_KEYS[module][0]} is not set"
        yield Finding("note", fact, "Set it if its models are used.")
    if not present and not missing:
        yield Finding("note", "no vendor's API key is set", "Models need one, for instance OPENAI_API_KEY.")


async def check_model(runtime: CopilotRuntime) -> list[Finding]:
    """Look whether the runtime's model could answer. Where workers execute runs, they need what is missing."""
    model = runtime.service.model
    if not isinstance(model, ModelProvider):
        return []
    try:
        await model.check()
    except CopilotKitError as error:
        mark: Literal["note", "fail"] = "note" if runtime.config.execution == "queue" else "fail"
        advice = "Set it where the server starts." if isinstance(error, MissingVariableError) else ""
        reason = error.message.rstrip(".") if advice else error.message
        return [Finding(mark, f"model {runtime.model_name}: {reason}", advice)]
    finally:
        await model.stop()
    return [Finding("ok", f"model {runtime.model_name} is set up")]
