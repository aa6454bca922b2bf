"""A thread with a guest, whatever the wire: what is done in it, and what is seen of each turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

TURN_SECONDS = 60.0
STOP_SECONDS = 10.0

TOOL = "change_background"
TOOL_PARAMETERS = {
    "type": "object",
    "properties": {"background": {"type": "string", "description": "A CSS background"}},
    "required": ["background"],
}
TOOL_DESCRIPTION = "Change the background colour of the chat."


@dataclass
class Turn:
    """What a client saw of a turn.

    Args:
        texts: The agent's texts.
        pieces: In how many pieces the longest of them came.
        calls: The names and arguments of the calls that it was shown.
        state: The agent's state at the end.
        asked: The agent's questions.
        fault: The error that the client would show.
    """

    texts: list[str] = field(default_factory=list)
    pieces: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    fault: str | None = None

    def says(self, text: str) -> bool:
        """Return whether a text of the agent contains ``text``."""
        return any(text in one for one in self.texts)


class Conversation(ABC):
    """A thread of its own with one agent. Every turn offers the tool ``TOOL``, which the client carries out."""

    @abstractmethod
    async def say(self, text: str) -> Turn:
        """Send a user's message."""

    @abstractmethod
    async def give_result(self, result: str) -> Turn:
        """Send the result of the tool that was called last."""

    @abstractmethod
    async def answer(self, response: str) -> Turn:
        """Send the answer to the agent's question."""

    @abstractmethod
    async def stop_midway(self, text: str) -> None:
        """Send a user's message, press stop once the agent speaks, and wait for the end.

        Raises:
            TimeoutError: The run does not end.
        """

    @abstractmethod
    async def reload(self) -> list[str]:
        """Return the thread's texts as a fresh client sees them."""
