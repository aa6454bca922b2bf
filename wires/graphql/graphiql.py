"""GraphiQL for people who open the endpoint in a browser."""

from __future__ import annotations

from ariadne.explorer import ExplorerGraphiQL

_page = ExplorerGraphiQL(title="CopilotKit runtime").html(None)


def graphiql_page() -> str:
    """Return the client; it sends its queries to the URL that it stands on."""
    return str(_page)
