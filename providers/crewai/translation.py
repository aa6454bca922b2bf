"""CrewAI's events as the runtime's."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from uuid import uuid4

import msgspec

from ...runtime import events
from ...runtime.events import Event
from ..agui.decoding import EventDecoder
from ..event_groups import begin_reasoning, end_reasoning, tool_call
from ..token_usage import openai_usage
from .flow_state import public_state


class _StreamedCall(msgspec.Struct):
    id: str
    name: str
    opened: bool = False
    pieces: list[str] = msgspec.field(default_factory=list)
    arguments: Any = None

    def close(self) -> None:
        """Read the arguments, once all of them are there."""
        text = "".join(self.pieces)
        self.pieces.clear()
        try:
            self.arguments = msgspec.json.decode(text)
        except msgspec.DecodeError:
            self.arguments = text


_NAME_CHARACTERS = 80

_Handler: TypeAlias = Callable[[Any, Any], list[Event]]


class Translator:
    """Translates the events of one run. Not thread-safe: ``Session.emit`` lets in one thread at a time.

    Args:
        client_tools: The names of the tools that the client runs, and whose results it therefore knows, by what
            CrewAI calls them.
    """

    def __init__(self, client_tools: Mapping[str, str] | None = None) -> None:
        self.root: Any = None
        """The crew or flow that runs; events of others inside it are recognised by this."""
        self._client_names = dict(client_tools or {})
        self._guest = EventDecoder()
        self._steps: Counter[str] = Counter()
        self._nameless: dict[Any, int] = {}
        self._text: dict[str, str] = {}
        self._reasoning: dict[str, str] = {}
        self._calls: dict[tuple[str, int], _StreamedCall] = {}
        self._awaiting: deque[_StreamedCall] = deque()
        self._running: list[tuple[str, Any, str]] = []
        self._used_ids: set[str] = set()
        self._snapshot: Any = None
        self._shown_ahead = False
        self._handlers: dict[str, _Handler] = {
            "llm_stream_chunk": self._token,
            "llm_thinking_chunk": self._thought,
            "llm_call_completed": self._end_of_answer,
            "llm_call_failed": self._end_of_answer,
            "tool_usage_started": self._tool_started,
            "tool_usage_finished": self._tool_finished,
            "tool_usage_error": self._tool_failed,
            "task_started": self._task_started,
            "task_completed": self._task_ended,
            "task_failed": self._task_ended,
            "agent_execution_started": self._agent_started,
            "agent_execution_completed": self._agent_ended,
            "agent_execution_error": self._agent_ended,
            "crew_kickoff_started": self._crew_started,
            "crew_kickoff_completed": self._crew_ended,
            "crew_kickoff_failed": self._crew_ended,
            "method_execution_started": self._method_started,
            "method_execution_finished": self._method_ended,
            "method_execution_failed": self._method_ended,
            "method_execution_paused": self._method_ended,
        }

    def translate(self, source: Any, event: Any) -> list[Event]:
        """Return the runtime's events for one of CrewAI's, or of a bridge's that speaks AG-UI over its bus."""
        name = getattr(event.type, "value", event.type)
        if name.isupper():
            return [_shown(bridged) for bridged in self._guest.decode(event)]
        handler = self._handlers.get(name)
        return [] if handler is None else [*self._guest.close(), *handler(source, event)]

    def watch(self, event: Event) -> None:
        """Take note of what the flow itself shows ahead of its state, which stays until the next method's end."""
        predicts = isinstance(event, events.Custom) and event.name == events.PREDICT_STATE
        shows = isinstance(event, events.StateSnapshot) and event.snapshot is not self._snapshot
        if predicts or shows:
            self._shown_ahead = True
            self._snapshot = None

    def state(self, state: Any) -> list[Event]:
        """Return a snapshot of a flow's state, unless the last one was the same."""
        snapshot = public_state(state)
        if snapshot == self._snapshot:
            return []
        self._snapshot = snapshot
        return [events.StateSnapshot(snapshot=snapshot)]

    def running_call(self, tool_name: str, arguments: Any) -> str | None:
        """Return the id of a tool call that was begun with these arguments and has not ended."""
        return next((id_ for name, args, id_ in self._running if (name, args) == (tool_name, arguments)), None)

    def running_name(self, tool_name: str) -> str:
        """Return the id of the tool's call that was begun last, or a fresh one."""
        return next((id_ for name, _, id_ in reversed(self._running) if name == tool_name), str(uuid4()))

    def _enter(self, name: str) -> list[Event]:
        self._steps[name] += 1
        return [events.StepStarted(step_name=name)] if self._steps[name] == 1 else []

    def _leave(self, name: str) -> list[Event]:
        if self._steps[name] == 0:
            return []
        self._steps[name] -= 1
        return [events.StepFinished(step_name=name)] if self._steps[name] == 0 else []

    def _token(self, _source: Any, event: Any) -> list[Event]:
        out = self._end_reasoning(event.call_id)
        if event.tool_call is not None:
            return [*out, *self._arguments(event)]
        if not event.chunk:
            return out
        message_id = self._text.get(event.call_id)
        if message_id is None:
            message_id = self._text[event.call_id] = self._fresh_id(event)
            out.append(events.TextMessageStart(message_id=message_id))
        return [*out, events.TextMessageContent(message_id=message_id, delta=event.chunk)]

    def _fresh_id(self, event: Any) -> str:
        wanted = event.response_id or event.call_id
        chosen = wanted if wanted not in self._used_ids else event.call_id
        self._used_ids.add(chosen)
        return str(chosen)

    def _arguments(self, event: Any) -> list[Event]:
        part, key = event.tool_call, (event.call_id, event.tool_call.index)
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _StreamedCall(id=part.id or str(uuid4()), name=self._name(part.function.name))
        out: list[Event] = []
        if not call.opened and (call.name or part.function.name):
            call.name = call.name or self._name(part.function.name)
            call.opened = True
            self._awaiting.append(call)
            parent = self._text.get(event.call_id)
            out.append(events.ToolCallStart(tool_call_id=call.id, tool_call_name=call.name, parent_message_id=parent))
        if event.chunk and call.opened:
            call.pieces.append(event.chunk)
            out.append(events.ToolCallArgs(tool_call_id=call.id, delta=event.chunk))
        return out

    def _thought(self, _source: Any, event: Any) -> list[Event]:
        out: list[Event] = []
        if event.call_id not in self._reasoning:
            message_id = self._reasoning[event.call_id] = str(uuid4())
            out = begin_reasoning(message_id)
        message_id = self._reasoning[event.call_id]
        return [*out, events.ReasoningMessageContent(message_id=message_id, delta=event.chunk)]

    def _end_reasoning(self, call_id: str) -> list[Event]:
        message_id = self._reasoning.pop(call_id, None)
        return [] if message_id is None else end_reasoning(message_id)

    def _end_of_answer(self, _source: Any, event: Any) -> list[Event]:
        out = self._end_reasoning(event.call_id)
        message_id = self._text.pop(event.call_id, None)
        if message_id is not None:
            out.append(events.TextMessageEnd(message_id=message_id))
        for key in [key for key in self._calls if key[0] == event.call_id]:
            call = self._calls.pop(key)
            if call.opened:
                call.close()
                out.append(events.ToolCallEnd(tool_call_id=call.id))
        usage = openai_usage(getattr(event, "usage", None), getattr(event, "model", None))
        return out if usage is None else [*out, usage]

    def _tool_started(self, _source: Any, event: Any) -> list[Event]:
        name = self._name(event.tool_name)
        streamed = self._streamed_call(name, event.tool_args)
        if streamed is not None:
            self._running.append((name, event.tool_args, streamed.id))
            return []
        call = _StreamedCall(id=str(uuid4()), name=name)
        self._running.append((name, event.tool_args, call.id))
        return tool_call(call.id, name, json_text(event.tool_args))

    def _streamed_call(self, name: str, arguments: Any) -> _StreamedCall | None:
        """Take the streamed call that has begun: CrewAI runs calls in threads, which begin in any order."""
        named = [call for call in self._awaiting if call.name == name]
        found = next((call for call in named if call.arguments == arguments), next(iter(named), None))
        if found is not None:
            self._awaiting.remove(found)
        return found

    def _tool_finished(self, _source: Any, event: Any) -> list[Event]:
        return self._result(event, json_text(event.output))

    def _tool_failed(self, _source: Any, event: Any) -> list[Event]:
        return self._result(event, f"Error: {event.error}")

    def _result(self, event: Any, content: str) -> list[Event]:
        name = self._name(event.tool_name)
        call_id = self.running_call(name, event.tool_args)
        if call_id is None:
            return []
        self._running = [entry for entry in self._running if entry[2] != call_id]
        if name in self._client_names.values():
            return []
        return [events.ToolCallResult(tool_call_id=call_id, content=content, tool_call_name=name)]

    def _name(self, name: str | None) -> str:
        return self._client_names.get(name or "", name or "")

    def _task_started(self, source: Any, _event: Any) -> list[Event]:
        return self._enter(self._task_name(source))

    def _task_ended(self, source: Any, _event: Any) -> list[Event]:
        return self._leave(self._task_name(source))

    def _task_name(self, task: Any) -> str:
        """Return a task's name, or its number in the run: its description is a prompt, and not for clients."""
        name = getattr(task, "name", None)
        if name:
            return str(name).strip()[:_NAME_CHARACTERS]
        number = self._nameless.setdefault(task.id, len(self._nameless) + 1)
        return f"task {number}"

    def _agent_started(self, _source: Any, event: Any) -> list[Event]:
        return self._enter(event.agent.role.strip())

    def _agent_ended(self, _source: Any, event: Any) -> list[Event]:
        return self._leave(event.agent.role.strip())

    def _crew_started(self, source: Any, event: Any) -> list[Event]:
        return [] if source is self.root else self._enter(event.crew_name or "crew")

    def _crew_ended(self, source: Any, event: Any) -> list[Event]:
        return [] if source is self.root else self._leave(event.crew_name or "crew")

    def _method_started(self, source: Any, event: Any) -> list[Event]:
        return self._enter(event.method_name) if source is self.root else []

    def _method_ended(self, source: Any, event: Any) -> list[Event]:
        if source is not self.root:
            return []
        shown_ahead, self._shown_ahead = self._shown_ahead, False
        state = [] if shown_ahead else self.state(source.state)
        return [*state, *self._leave(event.method_name)]


def _shown(event: Event) -> Event:
    """Return a bridge's event without what the runtime itself put into the flow's state."""
    if isinstance(event, events.StateSnapshot) and isinstance(event.snapshot, dict):
        return events.StateSnapshot(snapshot=public_state(event.snapshot))
    return event


def json_text(value: Any) -> str:
    """Return a tool's arguments or output as text: strings as they are, the rest as JSON where it can be."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)
