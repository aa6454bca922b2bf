"""A graph's stream as the runtime's events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import pydantic_core
from langchain_core.messages import BaseMessage
from langgraph.types import StreamMode

from ...runtime.events import EXIT, Custom, Event, MessagesSnapshot, Raw, StepFinished, StepStarted
from .chat import ChatStream
from .custom_events import BrokenCall, DispatchedEvent
from .encoding import Encoder, Json
from .messages import as_langchain, to_agui
from .run_plan import RunPlan
from .schema import GraphSchema
from .shown_state import ShownState
from .thread_calls import ThreadCalls, unique_calls

STREAM_MODES: Final[list[StreamMode]] = ["messages", "tasks", "values", "custom"]

# What a task of the functional API writes, or a state that is not an object: all of it is the chat's.
_WHOLE = frozenset({"__return__", "__end__", "__root__"})


class Translator:
    """Translates one run of one graph.

    Args:
        schema: The graph's keys.
        turn: How the run begins.
        subgraphs: Whether messages of subgraphs are shown.
    """

    def __init__(self, schema: GraphSchema, plan: RunPlan, *, subgraphs: bool) -> None:
        self._state = ShownState(schema)
        self._chat = ChatStream(self._state, plan.checkpoint.calls, plan.checkpoint.messages, plan.shown)
        self._schema = schema
        self._hidden = frozenset({"messages"}) if schema.hides("messages") else frozenset()
        self._begun: set[tuple[str, ...]] = set()
        self._subgraphs = subgraphs
        self._steps: dict[str, str] = {}
        self._leaving: list[str] = []
        self._values: Any = plan.values
        self.interrupted = False
        self._custom_events: dict[str, Callable[[DispatchedEvent], list[Event]]] = {
            "copilotkit_manually_emit_message": self._emit_message,
            "manually_emit_message": self._emit_message,
            "copilotkit_manually_emit_tool_call": self._emit_tool_call,
            "manually_emit_tool_call": self._emit_tool_call,
            "copilotkit_manually_emit_intermediate_state": self._emit_state,
            "manually_emit_state": self._emit_state,
            "copilotkit_exit": self._exit,
            "exit": self._exit,
        }

    def translate(self, namespace: tuple[str, ...], mode: str, payload: Any) -> list[Event]:
        """Return the events of one part of the stream."""
        if mode == "custom":
            return self._custom(payload)
        if namespace and not self._subgraphs:
            self._chat.skip(_messages_in(mode, payload))
            return []
        if mode == "messages":
            return self._chat.translate(*payload)
        if namespace:
            return self._returned(payload, ()) if mode == "tasks" else self._stated(namespace, payload)
        return self._task(payload) if mode == "tasks" else [*self._stated(namespace, payload), *self._step(payload)]

    def finish(self) -> list[Event]:
        """Return the events with which the run ends: the state and messages that the graph holds."""
        return [*self._chat.close(), *self._state.final(), *self._leave(), *self._messages()]

    def stand(self) -> list[Event]:
        """Return the events of a run in which the graph does not run."""
        return [*self._state.values(self._values), *self._messages()]

    def _returned(self, task: Mapping[str, Any], hidden: Collection[str]) -> list[Event]:
        """Return the messages that a task wrote. Those without an id have none before the step ends."""
        events: list[Event] = []
        for key, value in _mapping(task.get("result")).items():
            whole = key in _WHOLE
            messages = as_langchain(value if _is_list(value) else [value]) if whole else _objects(value)
            private = not whole and (key != "messages" or key in hidden)
            events.extend(self._chat.returned(messages, private=private))
        return events

    def _stated(self, namespace: tuple[str, ...], values: Any) -> list[Event]:
        """Return the messages that a step left in a state. The first state of a graph is what it was given."""
        messages = as_langchain(_mapping(values).get("messages"))
        identified = [m if m.id else m.model_copy(update={"id": f"{namespace}#{i}"}) for i, m in enumerate(messages)]
        if namespace not in self._begun:
            self._begun.add(namespace)
            self._chat.skip(identified)
        elif namespace or not self._schema.hides("messages"):
            return self._chat.returned(identified)
        return []

    def _task(self, payload: Mapping[str, Any]) -> list[Event]:
        return self._task_ended(payload) if "result" in payload else self._task_started(payload)

    def _task_started(self, task: Mapping[str, Any]) -> list[Event]:
        name = task["name"]
        entered = name in self._steps.values()
        self._steps[task["id"]] = name
        return [*self._leave(), *([] if entered else [StepStarted(step_name=name)])]

    def _task_ended(self, task: Mapping[str, Any]) -> list[Event]:
        return [*self._returned(task, self._hidden), *self._left(task)]

    def _left(self, task: Mapping[str, Any]) -> list[Event]:
        name = self._steps.pop(task["id"], None)
        self._state.task_ended(task["id"], task["result"])
        self.interrupted = self.interrupted or bool(task.get("interrupts"))
        # What a failed node was saying stays open, so that the runtime reports that it broke off.
        if name is None or name in self._steps.values() or task.get("error") is not None:
            return []
        if self._steps:
            return [StepFinished(step_name=name)]
        # The last one of a step is left when the step's state is known, so that it is left with it.
        self._leaving.append(name)
        return self._chat.close()

    def _step(self, values: Any) -> list[Event]:
        if isinstance(values, Mapping) and "__interrupt__" in values:
            values = {**_mapping(self._values), **values}
        self._values = values
        return [*self._state.values(values), *self._leave()]

    def _leave(self) -> list[Event]:
        left, self._leaving = self._leaving, []
        return [StepFinished(step_name=name) for name in left]

    def _messages(self) -> list[Event]:
        messages = unique_calls(as_langchain(_mapping(self._values).get("messages")), ThreadCalls())
        return [MessagesSnapshot(messages=to_agui(messages))] if messages else []

    def _custom(self, payload: Any) -> list[Event]:
        if isinstance(payload, BrokenCall):
            return self._chat.broken(payload.metadata)
        if not isinstance(payload, DispatchedEvent):
            encoder = Encoder()
            written = Raw(event=encoder.encode(payload), source="langgraph")
            return [*self._state.report(encoder.failures.values()), written]
        reported = self._state.report(payload.failures)
        convert = self._custom_events.get(payload.name)
        if convert is not None:
            return reported + convert(payload)
        return [*reported, Custom(name=payload.name, value=payload.data)]

    def _emit_message(self, event: DispatchedEvent) -> list[Event]:
        data = _mapping(event.data)
        return self._chat.emit(str(data.get("message_id", "")), str(data.get("message", "")))

    def _emit_tool_call(self, event: DispatchedEvent) -> list[Event]:
        data = _mapping(event.data)
        return self._chat.call(str(data.get("id", "")), str(data.get("name", "")), _json(data.get("args", {})))

    def _emit_state(self, event: DispatchedEvent) -> list[Event]:
        return self._state.emitted(event.data, event.task_id)

    def _exit(self, _: DispatchedEvent) -> list[Event]:
        return [Custom(name=EXIT, value={})]


def _messages_in(mode: str, payload: Any) -> Iterable[BaseMessage]:
    """Return the messages in a part of a subgraph's stream."""
    if mode == "messages":
        return [payload[0]]
    value = _mapping(payload.get("result") if mode == "tasks" and isinstance(payload, Mapping) else payload)
    return [message for each in value.values() for message in _objects(each)]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, tuple))


def _objects(value: Any) -> Sequence[BaseMessage]:
    """Return the messages, as objects with an id, that a key of a state was given."""
    values = value if _is_list(value) else [value]
    return [each for each in values if isinstance(each, BaseMessage) and each.id]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _json(value: Json) -> str:
    return value if isinstance(value, str) else pydantic_core.to_json(value).decode()
