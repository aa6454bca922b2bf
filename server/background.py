"""Runs that an application starts and watches itself: from a job, a queue or a schedule."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

from ..runtime.context import RunContext, RunInput
from ..runtime.errors import CopilotKitError
from ..runtime.events import Event
from ..runtime.messages import Message, TextMessage
from ..runtime.request import RunRequest
from ..runtime.runs.handle import RunHandle
from ..runtime.service import RuntimeService


class BackgroundRun:
    """A run that an application has started. It goes on whether or not anybody reads it.

    Args:
        handle: The run.
    """

    def __init__(self, handle: RunHandle) -> None:
        self._handle = handle
        self.thread_id = handle.thread_id
        self.run_id = handle.run_id

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``failed`` or ``cancelled``."""
        return self._handle.status.value

    @property
    def error(self) -> CopilotKitError | None:
        """Why the run failed."""
        return self._handle.error

    async def join(self) -> str:
        """Wait until the run has ended and is stored; return its status."""
        await self._handle.join()
        return self.status


async def start_run(
    service: RuntimeService,
    agent_name: str | None,
    messages: str | Sequence[Message],
    *,
    thread_id: str | None,
    state: dict[str, Any] | None,
    properties: dict[str, Any] | None,
    owner: str | None,
) -> BackgroundRun:
    """Start a run without a client (``CopilotRuntime.start_run``)."""
    given_messages: list[Message] = (
        [TextMessage(role="user", content=messages)] if isinstance(messages, str) else [*messages]
    )
    given = RunInput(
        thread_id=thread_id or str(uuid4()),
        run_id=str(uuid4()),
        messages=given_messages,
        state=dict(state or {}),
    )
    context = RunContext(properties=dict(properties or {}), identity=owner)
    handle = await service.start(RunRequest(agent_name=agent_name, input=given, context=context))
    handle.close()
    return BackgroundRun(handle)


async def follow(
    service: RuntimeService,
    thread_id: str,
    *,
    run_id: str | None,
    after: int,
    owner: str | None,
    ready: Callable[[], Awaitable[None]],
) -> AsyncGenerator[Event]:
    """Yield the events of a thread's last run, until it has ended (``CopilotRuntime.follow``).

    Args:
        service: Where the run is looked for.
        thread_id: The thread.
        run_id: Only the newest run of this id; None for the thread's last.
        after: The number of the last event that was read before.
        owner: Whose thread it must be; None for the application.
        ready: Awaited first: it starts what has not been started.
    """
    await ready()
    handle = await service.readers.follow(thread_id, run_id=run_id, identity=owner, after=after)
    if handle is None:
        return
    try:
        while batch := await handle.read():
            for event in batch:
                yield event
    finally:
        handle.close()
