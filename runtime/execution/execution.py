"""The interface of executions: who runs what was asked for, if not the process that was asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..provider import AgentProvider
from ..request import RunRequest
from ..runs.handle import RunHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run that may begin: admitted to its thread, and passed by the hook and the guardrails of this process."""

    request: RunRequest
    provider: AgentProvider
    """The provider of the agent, or of the model, that is to run."""
    hook_called: bool
    """Whether there is a hook before requests here."""
    judged: bool
    """Whether there are guardrails here."""


class Execution(ABC):
    """Has runs executed elsewhere. Without one, a runtime executes its runs itself."""

    @abstractmethod
    async def open(self) -> None:
        """Make ready. Called once the store has been opened, and before agents are asked for."""

    @abstractmethod
    def go_on(self) -> None:
        """Go on on the running loop, once another one has ended on which it was opened."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of what ``open`` took. Called before the store is closed."""

    @abstractmethod
    async def start(self, order: Order) -> RunHandle:
        """Have a run executed, and follow it from its first event. It goes on if this process dies.

        Raises:
            CopilotKitError: It cannot be accepted.
        """
