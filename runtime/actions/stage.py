"""Executes the server-side actions that a run calls for, and answers each of their calls exactly once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, ClassVar, TypeAlias

import structlog

from .. import events
from ..cancellation import end_tasks
from ..context import RunContext
from ..error_texts import to_public_error
from ..errors import CopilotKitError
from ..messages import new_id
from ..runs.stages import Emit, Stage
from .action import Action
from .delegation import AgentAction
from .execution import HANDLER_ERROR, ActionRunner, Outcome
from .results import Activity, error_result

log = structlog.get_logger(__name__)

BACKLOG_BOUND = 256

Offered: TypeAlias = Action | AgentAction


class _Call:
    """A call of an action on its way: its arguments come in pieces, then it is executed."""

    def __init__(self, id_: str, action: Offered) -> None:
        self.id = id_
        self.action = action
        self.pieces: list[str] = []
        self.ended = False
        self.begun = False
        self.answered = False
        self.task: asyncio.Task[Outcome] | None = None


class ActionStage(Stage):
    """Executes server-side actions as the calls of them end.

    An action starts when its call is complete, so that parallel calls are executed at the same time. Its result
    follows right behind its call: the events that come meanwhile are held back, which in the end makes the provider
    wait. A result that the provider has ready for a call takes the place of the execution; a second one is dropped.

    Args:
        emit: Where events go on to.
        runner: Carries out calls.
        actions: What can be called, by name.
        context: The request's context.
        fail: Ends the run with an error.
    """

    may_pass_text = True

    def __init__(
        self,
        emit: Emit,
        runner: ActionRunner,
        actions: Mapping[str, Offered],
        context: RunContext,
        fail: Callable[[CopilotKitError], None],
    ) -> None:
        super().__init__(emit)
        self._runner = runner
        self._actions = actions
        self._context = context
        self._fail = fail
        self._calls: dict[str, _Call] = {}
        self._backlog: deque[tuple[events.Event, _Call | None]] = deque()
        self._room = asyncio.Event()
        self._answering: asyncio.Task[None] | None = None

    async def feed(self, event: events.Event) -> None:
        """Take the next event, and wait while too many are held back."""
        follower = self._FOLLOWERS.get(type(event))
        if follower is not None and not follower(self, event):
            return
        call = self._calls.get(event.tool_call_id) if type(event) is events.ToolCallEnd else None
        if self._answering is not None:
            await self._until_room()
        if self._answering is not None:
            self._backlog.append((event, call))
            return
        await self.emit(event)
        if call is not None:
            self._answering = asyncio.create_task(self._answer_all(call), name="action results")

    def passes_text(self, message_id: str) -> bool:
        """Return whether no result is due, which text would have to wait for."""
        return self._answering is None

    async def finish(self) -> None:
        """Wait for the results that are still due."""
        if self._answering is not None:
            await self._answering

    async def close(self) -> None:
        """Stop what is still being executed."""
        tasks = (self._answering, *(call.task for call in self._calls.values()))
        await end_tasks(*(task for task in tasks if task is not None))

    def _start(self, event: events.ToolCallStart) -> bool:
        action = self._actions.get(event.tool_call_name)
        if action is not None:
            self._calls[event.tool_call_id] = _Call(event.tool_call_id, action)
        return True

    def _arguments(self, event: events.ToolCallArgs) -> bool:
        call = self._calls.get(event.tool_call_id)
        if call is not None:
            call.pieces.append(event.delta)
        return True

    def _end(self, event: events.ToolCallEnd) -> bool:
        if event.broken:
            self._calls.pop(event.tool_call_id, None)
        call = self._calls.get(event.tool_call_id)
        if call is not None:
            call.ended = True
            if isinstance(call.action, Action) and not call.answered:
                call.task = asyncio.create_task(self._execute(call, call.action), name=f"action {call.action.name}")
        return True

    def _result(self, event: events.ToolCallResult) -> bool:
        call = self._calls.get(event.tool_call_id)
        if call is None:
            return True
        if call.begun or call.answered:
            return False
        call.answered = True
        if call.task is not None:
            call.task.cancel()
        return True

    _FOLLOWERS: ClassVar[dict[type, Callable[[ActionStage, Any], bool]]] = {
        events.ToolCallStart: _start,
        events.ToolCallArgs: _arguments,
        events.ToolCallEnd: _end,
        events.ToolCallResult: _result,
    }

    async def _execute(self, call: _Call, action: Action) -> Outcome:
        call.begun = True
        return await self._runner.run(action, "".join(call.pieces), self._context)

    async def _until_room(self) -> None:
        while len(self._backlog) >= BACKLOG_BOUND:
            self._room.clear()
            await self._room.wait()

    async def _answer_all(self, call: _Call) -> None:
        try:
            following: _Call | None = call
            while following is not None:
                await self._answer(following)
                following = await self._release()
        except Exception as error:
            log.exception("action_results_not_emitted")
            self._fail(to_public_error(error))

    async def _release(self) -> _Call | None:
        """Pass on what was held back, as far as the next call that is to be answered; return that call."""
        while self._backlog:
            event, call = self._backlog.popleft()
            self._room.set()
            await self.emit(event)
            if call is not None:
                return call
        self._answering = None
        return None

    async def _answer(self, call: _Call) -> None:
        if isinstance(call.action, AgentAction):
            await self._hand_over(call, call.action)
        elif call.task is not None:
            await self._report(call, call.task)

    async def _report(self, call: _Call, task: asyncio.Task[Outcome]) -> None:
        await asyncio.wait([task])
        if call.answered:
            return
        outcome = task.result()
        await self._emit_result(call, outcome.content)
        if outcome.activity is not None:
            await self._draw(call, outcome.activity)
        if outcome.direct:
            await self._emit_text(outcome.direct)

    async def _hand_over(self, call: _Call, action: AgentAction) -> None:
        call.begun = True
        if call.answered:
            return
        async with aclosing(action.run()) as inner:
            try:
                entered = await anext(inner)
            except CopilotKitError as error:
                await self._emit_result(call, error_result(HANDLER_ERROR, error.message))
                return
            await self._emit_result(call, action.started_text)
            await self.emit(entered)
            async for event in inner:
                await self.emit(event)

    async def _emit_result(self, call: _Call, content: str) -> None:
        call.answered = True
        name = call.action.name
        await self.emit(events.ToolCallResult(tool_call_id=call.id, content=content, tool_call_name=name))

    async def _draw(self, call: _Call, drawn: Activity) -> None:
        await self.emit(
            events.ActivitySnapshot(
                message_id=f"{call.id}-activity", activity_type=drawn.activity_type, content=drawn.content
            )
        )

    async def _emit_text(self, text: str) -> None:
        id_ = new_id()
        await self.emit(events.TextMessageStart(message_id=id_))
        await self.emit(events.TextMessageContent(message_id=id_, delta=text))
        await self.emit(events.TextMessageEnd(message_id=id_))
