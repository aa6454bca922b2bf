"""What LangChain imports with the first run, on the event loop, where an import holds up all other runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pkgutil import iter_modules

_MODULES = ("langchain_core.tracers.context", "langchain_core.tracers.stdout")
_TRANSLATORS = "langchain_core.messages.block_translators"
"""Reads messages in the forms of vendors, of which each has a module."""


def import_early() -> None:
    """Import it now: in a thread, before the first run. What this version does not have is left out."""
    for name in (*_MODULES, *_translators()):
        with suppress(ImportError):
            import_module(name)


def _translators() -> Iterator[str]:
    with suppress(ImportError):
        package = import_module(_TRANSLATORS)
        for module in iter_modules(package.__path__, f"{_TRANSLATORS}."):
            yield module.name
