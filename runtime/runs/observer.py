"""Observers of runs: metrics, traces and logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run import Run
    from .stages import StageFactory


class RunObserver:
    """Informed of each run's life, at its few turning points and never per event. It must not raise."""

    def starting(self, run: Run) -> AbstractContextManager[object]:
        """Return a context for the birth of the run's task, which inherits context variables that are set here."""
        return nullcontext()

    def providing(self, run: Run) -> AbstractContextManager[object]:
        """Entered, in the run's task, for as long as its provider works."""
        return nullcontext()

    def stages(self, run: Run) -> Sequence[StageFactory]:
        """Return stages that watch the run's events, on their way to its log."""
        return ()

    def on_first_event(self, run: Run) -> None:
        """Note that the provider's first event was appended to the run's log."""

    def abandoned(self, run: Run) -> None:
        """Note that the run ends without its provider, which has ignored its cancellation and may still work."""

    def ended(self, run: Run) -> None:
        """Note the run's outcome."""

    def waited(self, queue: str, seconds: float) -> None:
        """Note that a run that this process begins has waited in a queue."""

    def handing_over(self, queue: str) -> AbstractContextManager[object]:
        """Entered for as long as a run is handed over to the workers of a queue."""
        return nullcontext()

    def carrier(self) -> Mapping[str, str]:
        """Return the current trace as headers, for a process that goes on with it."""
        return {}

    def carried(self, carrier: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return a context for the birth of a run whose trace began in another process."""
        return nullcontext()


class Observers(RunObserver):
    """Several observers as one."""

    def __init__(self, observers: Iterable[RunObserver] = ()) -> None:
        self._observers: list[RunObserver] = []
        self._starting: list[RunObserver] = []
        self._providing: list[RunObserver] = []
        for observer in observers:
            self.add(observer)

    def add(self, observer: RunObserver) -> None:
        """Add one, for the runs that start from now on."""
        kind = type(observer)
        self._observers.append(observer)
        if kind.starting is not RunObserver.starting:
            self._starting.append(observer)
        if kind.providing is not RunObserver.providing:
            self._providing.append(observer)

    def starting(self, run: Run) -> AbstractContextManager[object]:
        """Enter all of them, in order."""
        return _together([observer.starting(run) for observer in self._starting])

    def providing(self, run: Run) -> AbstractContextManager[object]:
        """Enter all of them, in order."""
        return _together([observer.providing(run) for observer in self._providing])

    def stages(self, run: Run) -> Sequence[StageFactory]:
        """Return the stages of all of them."""
        return [stage for observer in self._observers for stage in observer.stages(run)]

    def on_first_event(self, run: Run) -> None:
        """Notify all of them."""
        for observer in self._observers:
            observer.on_first_event(run)

    def abandoned(self, run: Run) -> None:
        """Notify all of them."""
        for observer in self._observers:
            observer.abandoned(run)

    def ended(self, run: Run) -> None:
        """Notify all of them."""
        for observer in self._observers:
            observer.ended(run)

    def waited(self, queue: str, seconds: float) -> None:
        """Notify all of them."""
        for observer in self._observers:
            observer.waited(queue, seconds)

    def handing_over(self, queue: str) -> AbstractContextManager[object]:
        """Enter all of them, in order."""
        return _together([observer.handing_over(queue) for observer in self._observers])

    def carrier(self) -> Mapping[str, str]:
        """Return what all of them carry."""
        return {name: value for observer in self._observers for name, value in observer.carrier().items()}

    @contextmanager
    def carried(self, carrier: Mapping[str, str]) -> Iterator[None]:
        """Enter all of them, in order."""
        with ExitStack() as stack:
            for observer in self._observers:
                stack.enter_context(observer.carried(carrier))
            yield


def _together(contexts: Sequence[AbstractContextManager[object]]) -> AbstractContextManager[object]:
    """Return one context for several; most often there is one, or none."""
    if len(contexts) > 1:
        return _entered(contexts)
    return contexts[0] if contexts else nullcontext()


@contextmanager
def _entered(contexts: Sequence[AbstractContextManager[object]]) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield
