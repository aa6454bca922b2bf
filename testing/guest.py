"""The guest: the agents that a provider's author sets up for the checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ..runtime.provider import AgentProvider

AGENT = "guest"


class Behaviour(Enum):
    """What the agent called ``guest`` does in a run."""

    ECHO = "sends the last user message, in several pieces, and leaves the state {'echo': <that message>}"
    HANG = "sends 'begun', and then waits for ever"
    RAISE = "sends 'begun', and then fails with an error whose text holds 'secret-detail'"
    FLOOD = "sends 'x', as often as the guest's flood_tokens sets, in as many pieces, as one message"
    GARBAGE = "sends something that cannot be understood"


class Guest(ABC):
    """A framework, a service or a library behind a provider that is to be checked.

    ``behaviours`` are those that it can show; checks that need another are passed over. ``keeps_state`` is False
    for what has no state to show. ``concurrent_runs`` is how many runs the checks ask of it at a time.
    """

    name: str = "guest"
    behaviours: frozenset[Behaviour] = frozenset(Behaviour)
    keeps_state: bool = True
    flood_tokens: int = 100_000
    concurrent_runs: int = 100

    @abstractmethod
    def serve(self, behaviour: Behaviour) -> AbstractAsyncContextManager[AgentProvider]:
        """Make a provider, not started yet, whose agent ``guest`` behaves like that, while the block lasts."""

    @property
    @abstractmethod
    def working(self) -> int:
        """How many of the agent's runs still work, as the framework itself sees it."""
