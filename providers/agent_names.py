"""The agents that a provider is given: by name."""

from __future__ import annotations

from collections.abc import Mapping

from ..runtime.descriptions import described
from ..runtime.errors import ConfigurationError


def check_names(provider: str, agents: object, *, example: str) -> None:
    """Check that a provider was given its agents by name.

    Args:
        provider: The provider's class, for the error's text.
        agents: What it was given.
        example: What a person may write for an agent.

    Raises:
        ConfigurationError: ``agents`` is not a mapping, or a name in it is not text.
    """
    if not isinstance(agents, Mapping):
        raise ConfigurationError(
            f'{provider} takes agents by name, not {described(agents)}. Write {provider}({{"my_agent": {example}}}).'
        )
    for name in agents:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"{provider}: an agent's name is a text that is not empty, not {name!r:.80}.")
