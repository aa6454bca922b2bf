"""The interface between the provider and the vendors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import ClassVar

from ...runtime.events import Event
from .prompt import Prompt


class ChatModel(ABC):
    """A vendor's model, ready to answer. Shared by all runs: nothing about a run lives on it."""

    takes: ClassVar[frozenset[str]] = frozenset()
    """What the vendor's protocol takes besides texts and pictures."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the vendor's name for the model."""

    @abstractmethod
    def named(self, name: str) -> ChatModel:
        """Return another model of the same vendor, over the same connections."""

    @abstractmethod
    def answer(self, prompt: Prompt) -> AsyncGenerator[Event]:
        """Continue a conversation; yield the answer as it comes.

        Closing the generator closes the vendor's stream at once.

        Raises:
            CopilotKitError: The vendor failed (``failures.vendor_failures``).
        """

    def load(self) -> None:
        """Import what the vendor's package puts off until its first answer. Blocks; answers need not wait for it."""

    async def close(self) -> None:
        """Close the connections that the model opened for itself."""
