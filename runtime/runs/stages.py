"""The stages that a run's events pass on their way from the provider to the reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import ClassVar, Self, TypeAlias

from ..events import Event

Emit: TypeAlias = Callable[[Event], Awaitable[None]]


class Stage(ABC):
    """Takes a run's events one by one and hands them on, changed, held back or multiplied.

    A run has the stages that it needs and no others, so that what is switched off costs nothing per event.

    Args:
        emit: Where events go on to.
    """

    may_pass_text: ClassVar[bool] = False
    """Whether ``passes_text`` returns True at times."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    @abstractmethod
    async def feed(self, event: Event) -> None:
        """Take the next event."""

    def passes_text(self, message_id: str) -> bool:
        """Return whether the text that the last event continued passes unchanged until another kind of event comes.

        What passes need not be fed to the stage: most events are pieces of one text.
        """
        return False

    async def finish(self) -> None:
        """Pass on what is still held back: no event will follow."""

    async def close(self) -> None:
        """Release whatever still goes on. Called once, however the run ended."""


StageFactory: TypeAlias = Callable[[Emit], Stage]


class Flow:
    """Several stages in a row, in a block: behind it they pass on what they hold back, and end.

    Args:
        factories: What makes the stages, from the provider's side to the reader's.
        deliver: Where the last one's events go.
    """

    def __init__(self, factories: Iterable[StageFactory], deliver: Emit) -> None:
        self._stages: list[Stage] = []
        self.feed = deliver
        for factory in reversed(list(factories)):
            stage = factory(self.feed)
            self._stages.insert(0, stage)
            self.feed = stage.feed
        self.may_pass_text = all(stage.may_pass_text for stage in self._stages)

    def passes_text(self, message_id: str) -> bool:
        """Return whether all stages let a text pass unchanged (``Stage.passes_text``)."""
        for stage in self._stages:  # noqa: SIM110 - a generator takes two calls more, for each token of some runs
            if not stage.passes_text(message_id):
                return False
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or isinstance(error, Exception):
                # What was called is answered, even if the provider failed.
                await self._finish()
        finally:
            await self._close()

    async def _finish(self) -> None:
        """Pass on what the stages hold back, in order."""
        for stage in self._stages:
            await stage.finish()

    async def _close(self) -> None:
        """End whatever still goes on in the stages."""
        for stage in self._stages:
            await stage.close()
