"""Runs that are about to begin: a stop that comes before a run is there must not be lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..request import RunRequest
from ..stores.thread_keys import thread_key


class Beginning:
    """A run that has been asked for. Hooks, checks and the store may take a while before it is there.

    Args:
        request: The request.
    """

    def __init__(self, request: RunRequest) -> None:
        self.stopped = False
        """Whether the run is to be stopped as soon as it is there."""
        self._thread = thread_key(request.input.thread_id)
        self._run_id = request.input.run_id
        self._identity = request.context.identity

    def is_meant(self, thread_id: str, run_id: str | None, identity: str | None) -> bool:
        """Return whether a stop means this run, and its caller may stop it."""
        return (
            self._thread == thread_key(thread_id)
            and run_id in (None, self._run_id)
            and identity in (None, self._identity)
        )


class Beginnings:
    """All runs of this process that are about to begin."""

    def __init__(self) -> None:
        self._beginnings: dict[Beginning, None] = {}

    @contextmanager
    def note(self, request: RunRequest) -> Iterator[Beginning]:
        """Note that a run is about to begin, until it is there or refused."""
        beginning = Beginning(request)
        self._beginnings[beginning] = None
        try:
            yield beginning
        finally:
            del self._beginnings[beginning]

    def stop(self, thread_id: str, run_id: str | None, identity: str | None) -> bool:
        """Have runs stopped as soon as they are there; return whether there are any.

        Args:
            thread_id: The thread, in any spelling.
            run_id: Only the runs of that id; None for all.
            identity: The caller; None for the application itself.
        """
        meant = [each for each in self._beginnings if each.is_meant(thread_id, run_id, identity)]
        for each in meant:
            each.stopped = True
        return bool(meant)
