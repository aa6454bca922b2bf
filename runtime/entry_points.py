"""Providers that installed packages bring, found by entry point (``copilotkit_runtime.providers``)."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from .errors import ConfigurationError
from .provider import AgentProvider

GROUP = "copilotkit_runtime.providers"


def installed_providers() -> list[AgentProvider]:
    """Return one provider of each entry point: what it names is called without arguments.

    Raises:
        ConfigurationError: One cannot be loaded, or gives no provider.
    """
    return [_made(point) for point in entry_points(group=GROUP)]


def _made(point: EntryPoint) -> AgentProvider:
    try:
        provider = point.load()()
    except Exception as error:
        raise ConfigurationError(f"The provider '{point.name}' ({point.value}) cannot be loaded: {error}") from error
    if not isinstance(provider, AgentProvider):
        raise ConfigurationError(f"The provider '{point.name}' ({point.value}) is not an AgentProvider.")
    return provider
