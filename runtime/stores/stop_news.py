"""News of stops: a process that executes a run for another one need not wait until it renews the run's lease."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from .run_news import NewsLine, NewsListener, RunNews
from .run_records import RunKey

LINGER_SECONDS = 30.0
"""How long stops are listened for when no run is left that may be stopped."""
_ALL = "all"
"""What the line is asked to follow: it has the stops of all runs, which are few."""


class StopNews:
    """Calls those who execute a run when somebody elsewhere has asked it to stop.

    News may be missed: whoever executes a run looks at the store from time to time all the same.

    Args:
        line: Where news of stops arrive; None for a store that sends none.
    """

    def __init__(self, line: NewsLine | None) -> None:
        self._listener = None if line is None else NewsListener(line, self._note, lambda: None, self._is_needed)
        self._calls: dict[str, Callable[[], None]] = {}
        self._left = monotonic()

    @property
    def live(self) -> bool:
        """Whether news arrive."""
        return self._listener is not None and self._listener.live

    def expect(self, key: RunKey, call: Callable[[], None]) -> None:
        """Have ``call`` called when a run is asked to stop."""
        if self._listener is not None:
            self._calls[self._listener.name(key)] = call
            self._listener.follow(_ALL)

    def forget(self, key: RunKey) -> None:
        """Expect no stop of a run any longer."""
        if self._listener is not None and self._calls.pop(self._listener.name(key), None) is not None:
            self._left = monotonic()

    async def stop(self) -> None:
        """Stop listening."""
        self._calls.clear()
        if self._listener is not None:
            await self._listener.stop()

    def _is_needed(self) -> bool:
        return bool(self._calls) or monotonic() - self._left < LINGER_SECONDS

    def _note(self, news: Sequence[RunNews]) -> None:
        for each in news:
            if (call := self._calls.get(each.name)) is not None:
                call()
