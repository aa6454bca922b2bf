"""One run's work in a thread of its own, which may pause for a person and go on in a later run."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from uuid import uuid4

import msgspec

from .flow_executor import FlowExecutor
from .model_streams import close_streams, close_streams_of_caller
from .open_events import OpenEvents
from .thread_queue import RunCancelled, RunOver, ThreadQueue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ...runtime.events import Event

T = TypeVar("T")
CURRENT: contextvars.ContextVar[Session | None] = contextvars.ContextVar("copilotkit_session", default=None)
Work: TypeAlias = Callable[["Session"], None]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the work waits for, before it can go on.

    ``ask`` is the event that puts it to the person; without one the client has it already, as with a tool call
    that it was streamed. ``id`` is then the tool call's.
    """

    id: str
    ask: Any = None


def new_question_id() -> str:
    """Return an id for a question to a person."""
    return str(uuid4())


class _End(msgspec.Struct):
    error: BaseException | None = None


_Item: TypeAlias = "Event | Question | _End"


class Session:
    """Runs ``work`` in a daemon thread and hands its events to the event loop that started it.

    Args:
        work: What to do. It runs in the context of its maker, with ``CURRENT`` set to this session.
        watch: Called with every event that is handed on, in order.
        queue_size: How many events may wait for the reader before the work has to.
        owner: Whose run it is; None for the application's.
    """

    def __init__(
        self, work: Work, *, watch: Callable[[Event], None], queue_size: int = 1024, owner: str | None = None
    ) -> None:
        self.owner = owner
        self._work = work
        self._watch = watch
        self._queue: ThreadQueue[_Item] = ThreadQueue(asyncio.get_running_loop(), queue_size)
        self._answers: dict[str, str] = {}
        self._answered = threading.Condition()
        self._emitting = threading.Lock()
        self._inner: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._unfinished = OpenEvents()
        self._threads: set[int] = set()
        self._ended = False
        self._failed = False
        self.pending: list[Question] = []

    def start(self) -> None:
        """Start the work."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._main,), name="crewai-run", daemon=True).start()

    async def events(self) -> AsyncGenerator[Event]:
        """Yield what happens, until the work ends or pauses: ``pending`` then holds what it waits for.

        After a pause, what had begun before it begins once more.

        Raises:
            Exception: What the work raised.
        """
        for event in self._unfinished.again():
            yield event
        while True:
            item = await self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            if not isinstance(item, Question):
                self._unfinished.watch(item)
                yield item
            elif self._must_wait_for(item):
                if item.ask is not None:
                    yield item.ask
                return

    def answer(self, question_id: str, text: str) -> None:
        """Give an answer, perhaps before it was asked for; called on the loop."""
        with self._answered:
            self._answers[question_id] = text
            self._answered.notify_all()
        self.pending = [question for question in self.pending if question.id != question_id]

    def cancel(self) -> None:
        """Stop the work at its next event, await or question, without waiting for that; called on the loop."""
        self._queue.cancel()
        with self._answered:
            self._answered.notify_all()
        if self._inner is not None:
            loop, task = self._inner
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

    @property
    def cancelled(self) -> bool:
        """Whether the run is over, though the work may not be."""
        return self._queue.cancelled

    def emit(self, translate: Callable[[], list[Event]]) -> None:
        """Hand on the events that ``translate`` returns; called in a thread, one at a time for all.

        What the framework does in the background after the run has ended well is passed over.

        Raises:
            RunCancelled: If the run was stopped or has failed.
            RunOver: As above, in a thread that the framework started by itself.
        """
        with self._emitting:
            self.check()
            if self._ended:
                return
            for event in translate():
                self._watch(event)
                self._put(event)

    def check(self) -> None:
        """Stop the calling thread if nothing may be done for the run any more.

        Raises:
            RunCancelled: If the run was stopped or has failed.
            RunOver: As above, in a thread that the framework started by itself.
        """
        if self.cancelled or self._failed:
            raise self._stop()

    def _stop(self) -> RunCancelled | RunOver:
        if threading.get_ident() in self._threads:
            return RunCancelled()
        close_streams_of_caller()
        return RunOver("The run is over.")

    def _put(self, item: _Item) -> None:
        try:
            self._queue.put(item)
        except RunCancelled:
            raise self._stop() from None

    def ask(self, question: Question) -> str:
        """Pause the run and wait for the answer; called in a thread.

        Raises:
            RunCancelled: If the run is given up meanwhile.
            RunOver: As above, in a thread that the framework started by itself.
        """
        self.check()
        if question.id not in self._answers:
            self._put(question)
        with self._answered:
            self._answered.wait_for(lambda: self.cancelled or question.id in self._answers)
            self.check()
            return self._answers.pop(question.id)

    def run_async(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of the work on a loop of this thread, so that cancelling reaches its awaits."""
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(FlowExecutor(self.check, self._claim_thread))
            return runner.run(self._tracked(main))

    async def _tracked(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = asyncio.current_task()
        if task is not None:
            self._inner = (asyncio.get_running_loop(), task)
        try:
            if self.cancelled:
                raise RunCancelled
            return await main()
        finally:
            self._inner = None

    def _must_wait_for(self, question: Question) -> bool:
        if question.id in self._answers:
            return False
        self.pending.append(question)
        return True

    def _claim_thread(self) -> None:
        self._threads.add(threading.get_ident())

    def _main(self) -> None:
        CURRENT.set(self)
        self._claim_thread()
        end = _End()
        try:
            self._work(self)
        except (RunCancelled, asyncio.CancelledError) as stopped:
            end.error = None if self.cancelled else stopped
            if self.cancelled:
                close_streams(stopped)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the run is read
            end.error = error
        self._failed = end.error is not None
        self._ended = True
        with suppress(RunCancelled):
            self._queue.put(end)
