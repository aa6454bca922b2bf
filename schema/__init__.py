"""The contract: the TypeScript runtime's SDL, verbatim (``source.json`` tells where it came from)."""

from __future__ import annotations

from importlib.resources import files

SDL_FILE = "schema.graphql"


def load_sdl() -> str:
    """The SDL as published."""
    return files(__package__).joinpath(SDL_FILE).read_text(encoding="utf-8")
