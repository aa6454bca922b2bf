"""The interface of queue engines: what carries runs from the processes that take requests to those that work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import TryLaterError
from ..stores.run_records import RunKey

DEFAULT_QUEUE = "default"
"""The queue of agents that are pinned to none."""


class CallFailedError(TryLaterError):
    """No worker answered a call, or the one that did could not do it."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"No worker of the queue '{queue}' answers.")


class Delivery(ABC):
    """Something that a worker has taken from a queue."""

    @abstractmethod
    async def done(self) -> None:
        """Report that the delivery is not to be made again."""


class TicketDelivery(Delivery):
    """A run that is to be executed; it may be delivered more than once.

    Args:
        key: The run.
    """

    def __init__(self, key: RunKey) -> None:
        self.key = key

    @abstractmethod
    async def give_back(self) -> None:
        """Put the run back at the head of its queue, in one step: no crash leaves it nowhere."""


class CallDelivery(Delivery):
    """A question that somebody waits for the answer to.

    Args:
        body: The question.
    """

    def __init__(self, body: str) -> None:
        self.body = body

    @abstractmethod
    async def answer(self, body: str) -> None:
        """Send the answer."""


class Card(NamedTuple):
    """What a worker publishes of itself."""

    worker: str
    body: str


class QueueEngine(ABC):
    """Carries runs by reference: what a run needs is in the store.

    Deliveries are made at least once: whoever takes a run claims it in the store, so that it is executed once.
    Every method raises ``errors.StoreUnavailableError`` when the engine's server does not answer.
    """

    @abstractmethod
    async def start(self) -> None:
        """Connect. Called once, after the store has been opened."""

    @abstractmethod
    async def stop(self) -> None:
        """Let go of the connections."""

    @abstractmethod
    async def put(self, queue: str, key: RunKey) -> None:
        """Put a run at the end of a queue, unless it is in it, or taken and not done.

        If the engine uses the store's server, a crash of that may forget the run until the store has settled.
        """

    @abstractmethod
    async def waiting(self, queue: str) -> int:
        """Return how many runs of a queue nobody has taken."""

    @abstractmethod
    async def take(self, queue: str, seconds: float) -> TicketDelivery | None:
        """Wait for a run, and take it; None if none has come after ``seconds``."""

    @abstractmethod
    async def call(self, queue: str, body: str, seconds: float) -> str:
        """Send a question to any worker of a queue, and return its answer.

        Raises:
            CallFailedError: No answer came within ``seconds``.
        """

    @abstractmethod
    async def take_call(self, queue: str, seconds: float) -> CallDelivery | None:
        """Wait for a question, and take it; None if none has come after ``seconds``."""

    @abstractmethod
    async def publish(self, card: Card, seconds: float) -> None:
        """Let all processes see a worker for ``seconds``, unless it is published again."""

    @abstractmethod
    async def cards(self) -> Sequence[Card]:
        """Return the workers that are published."""

    @abstractmethod
    async def redeliver(self, queue: str) -> None:
        """Put what was taken by processes that died with it back into a queue."""
