"""A reader's hold on a run: where it stands in the run's log, and what became of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from ..errors import CopilotKitError
from ..events import Event
from ..messages import Message
from .log import Lagged, Push, Subscription
from .remote import RemoteRun, RemoteSubscription
from .run import Run, RunStatus


class EventSource(Protocol):
    """One reader's place in a log: of a run in this process, or elsewhere."""

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended.

        Where events are appended in this process, they are first offered to ``push`` (``Subscription.arrival``).
        """

    def take(self) -> Sequence[Event]:
        """Return the events since the last call."""

    def close(self) -> None:
        """Stop reading."""


class RunHandle:
    """What a wire holds of a run that it started or joined.

    Args:
        run: The run.
        source: The reader's place in its log.
        place: Returns the number of the run in its thread, once it has one; for runs of this process.
    """

    __slots__ = ("_place", "_source", "ahead", "arrival", "run", "take")

    def __init__(
        self, run: Run | RemoteRun, source: EventSource, place: Callable[[], int | None] = lambda: None
    ) -> None:
        self.run = run
        self._place = place
        self.arrival = source.arrival
        self.take = source.take
        self.ahead = 0
        """How many runs were ahead of this one in the queue of its workers when it was put there."""
        self._source = source

    @property
    def thread_id(self) -> str:
        """The thread."""
        return self.run.input.thread_id

    @property
    def run_id(self) -> str:
        """The client's id of the run, which need not be unique."""
        return self.run.input.run_id

    @property
    def agent_name(self) -> str:
        """The agent, or "" for a model."""
        return self.run.agent_name

    @property
    def messages(self) -> list[Message]:
        """The thread's messages when the run began, with those that came with it."""
        return self.run.input.messages

    @property
    def number(self) -> int | None:
        """The run's number in its thread; None while it has none."""
        return self.run.record.number if isinstance(self.run, RemoteRun) else self._place()

    @property
    def sends_extensions(self) -> bool:
        """Whether the run may begin with extensions of the answer."""
        return self.run.provider.reports_extensions if isinstance(self.run, Run) else self.run.sends_extensions

    @property
    def status(self) -> RunStatus:
        """How the run stands."""
        return self.run.status

    @property
    def error(self) -> CopilotKitError | None:
        """Why the run failed."""
        return self.run.error

    async def read(self) -> Sequence[Event]:
        """Wait for events and take them: at least one; none once the log has been read to its end."""
        await self.arrival()
        return self.take()

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, as ``join`` waits for it."""
        return self.run.is_over

    async def join(self) -> None:
        """Wait until the run has ended."""
        await self.run.join()

    async def cancel(self) -> None:
        """Stop the run, and wait until it has let go of its provider."""
        await self.run.cancel()

    @property
    def is_elsewhere(self) -> bool:
        """Whether another process executes the run, so that it does not wait for its readers."""
        return isinstance(self.run, RemoteRun)

    async def reopened(self) -> RunHandle:
        """Return a hold on the run from its first event, which does not slow it down."""
        if isinstance(self.run, RemoteRun):
            return RunHandle(self.run, self.run.subscribe())
        return RunHandle(self.run, self.run.subscribe(attached=False), self._place)

    def detach(self) -> Sequence[Event]:
        """Slow the run down no longer; return the events that have been taken, the first of them compacted.

        Raises:
            Lagged: The reader slows nothing down.
        """
        if not isinstance(self._source, Subscription):
            raise Lagged
        return self._source.detach()

    def take_history(self) -> Sequence[Event]:
        """Return all events of the run, the first ones compacted, after ``take`` has raised ``Lagged``.

        What comes next is taken as before.
        """
        if isinstance(self._source, RemoteSubscription):
            return self._source.take_history()
        self._source.close()
        self._source = source = self.run.subscribe()
        self.arrival, self.take = source.arrival, source.take
        return self.take()

    def close(self) -> None:
        """Stop reading; the run goes on."""
        self._source.close()
