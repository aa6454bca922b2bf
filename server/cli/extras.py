"""The extras of this package, by the modules that they bring."""

from __future__ import annotations

EXTRAS = {
    "serve": "uvloop",
    "langgraph": "langgraph.graph",
    "crewai": "crewai",
    "openai": "openai",
    "anthropic": "anthropic",
    "models": "langchain",
    "google": "langchain_google_genai",
    "bedrock": "langchain_aws",
    "agui": "ag_ui",
    "mcp": "mcp",
    "redis": "redis",
    "postgres": "psycopg",
    "queue": "saq",
    "auth": "jwt",
    "metrics": "prometheus_client",
    "otel": "opentelemetry",
}
"""A module that each extra brings, and that shows whether it is there."""


def extra_of(module: str) -> str | None:
    """Return the extra that brings a module; None if none is known to."""
    return next((extra for extra, brought in EXTRAS.items() if brought.partition(".")[0] == module), None)
