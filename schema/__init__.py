"""The contract: the TypeScript runtime's SDL, verbatim (``source.json`` names its origin)."""

from __future__ import annotations

from importlib.resources import files

SDL_FILE = "schema.graphql"
EXTENSIONS_FILE = "extensions.graphql"


def load_sdl() -> str:
    """Return the SDL as published."""
    return files(__package__).joinpath(SDL_FILE).read_text(encoding="utf-8")


def load_extensions() -> str:
    """Return the SDL of what this runtime adds, where that is asked for."""
    return files(__package__).joinpath(EXTENSIONS_FILE).read_text(encoding="utf-8")
