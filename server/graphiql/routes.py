"""The files of the page that the GraphQL wire shows to browsers."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute

from ...wires.graphql.graphiql import FOLDER, POLICY
from ..guarded_files import files_route

FILES = Path(__file__).parent / "files"
_HEADERS = {"content-security-policy": POLICY, "x-content-type-options": "nosniff", "cache-control": "no-cache"}


def graphiql_routes(base: str) -> list[BaseRoute]:
    """Return the route of GraphiQL's files below a runtime's URL."""
    return [files_route(f"{base}/{FOLDER}", FILES, _HEADERS)]
