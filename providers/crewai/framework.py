"""Import of CrewAI: late, and with telemetry and prompts switched off (docs/contract.md, section 3.5)."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...runtime.optional import optional

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWITCHES = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
_GUESSED = "Using an approximate input token count"
"""How a warning begins that CrewAI logs at each call of a model whose tokens it guesses. Nobody can act on it."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_loading = threading.Lock()


def disable_telemetry() -> None:
    """Switch telemetry and prompts off, unless the environment asks for them.

    CrewAI reads these when it is imported; with telemetry on, it replaces the process's signal handlers.
    """
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)


def load() -> Any:
    """Import ``crewai``. The first call takes seconds: from an event loop, call ``load_async``.

    Raises:
        MissingExtraError: If CrewAI is not installed.
    """
    disable_telemetry()
    with _loading, _own_signal_handlers():
        with optional("The CrewAI provider", "crewai"):
            crewai = importlib.import_module("crewai")
        listener = importlib.import_module("crewai.events.event_listener").event_listener
        listener.formatter.console.quiet = True
        logging.getLogger("crewai.llms.base_llm").addFilter(_is_of_use)
    return crewai


def _is_of_use(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_GUESSED)


async def load_async() -> Any:
    """Import ``crewai`` without blocking the event loop."""
    return await asyncio.to_thread(load)


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
