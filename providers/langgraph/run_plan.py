"""How a run begins: what the graph is given, from which checkpoint, and whether it is to run at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.types import Command, Interrupt, StateSnapshot
from msgspec import Struct

from ...runtime.context import RunInput
from ...runtime.messages import TextMessage, ToolCallMessage, ToolResultMessage
from .content import text_of
from .decoding import is_echo
from .graph_thread import GraphThread
from .history import (
    CheckpointMessages,
    conversation,
    cut_message,
    edited_message,
    has_news,
    messages_update,
    unknown,
)
from .interrupts import asks_by_message, resume_map, typed_answers
from .message_groups import merged
from .messages import as_langchain, to_langchain
from .schema import OWN_KEYS, GraphSchema

RUN_MARK = "copilotkit_run"
"""The key of checkpoints' metadata that names the run which wrote them."""

log = structlog.get_logger(__name__)


class RunPlan(Struct):
    """A run's beginning.

    ``runs`` is false if there is nothing to do: the graph waits for answers that did not come, or was
    answered before. ``checkpoint`` are the checkpoint's messages. ``shown`` are the ids of those that the client has,
    if the graph goes on in the middle of a step: what the step's finished tasks wrote comes again.
    """

    input: Any
    config: RunnableConfig
    checkpoint: CheckpointMessages
    values: Mapping[str, Any] = {}
    runs: bool = True
    interrupts: Sequence[Interrupt] = ()
    shown: frozenset[str] = frozenset()


class RunPlanner:
    """Decides how one run begins.

    Args:
        thread: The graph's memory.
        schema: The graph's keys.
        run: What the client asks for.
        config: The run's configuration.
    """

    def __init__(self, thread: GraphThread, schema: GraphSchema, run: RunInput, config: RunnableConfig) -> None:
        self._thread = thread
        self._schema = schema
        self._run = run
        self._config = config
        self._sent = conversation(run.messages)

    async def plan(self) -> RunPlan:
        """Return the run's beginning, after a look at the thread's checkpoint."""
        if not self._thread.remembers:
            return self._from_scratch()
        snapshot = await self._thread.state(self._config)
        if self._schema.takes_list:
            return await self._listed(snapshot)
        checkpoint = self._checkpoint(snapshot)
        if self._run.resume and snapshot.interrupts:
            return await self._resumed(snapshot, checkpoint, resume_map(snapshot.interrupts, self._run.resume))
        edited = edited_message(checkpoint, self._sent)
        if edited is not None and await self._is_rewritten(snapshot, checkpoint, edited):
            edited = None
        if (snapshot.interrupts or self._run.resume) and not (edited or has_news(checkpoint, self._sent)):
            return self._idle(snapshot, checkpoint)
        if snapshot.interrupts and not edited and (plan := await self._answered(snapshot, checkpoint)):
            return plan
        return await self._begun(snapshot, checkpoint, edited or cut_message(checkpoint, self._sent))

    async def resume(self) -> RunPlan:
        """Return what is left of a run that another process began: the rest of the graph, or all of the run."""
        if not self._thread.remembers:
            return self._from_scratch()
        snapshot = await self._thread.state(self._config)
        mark = (snapshot.metadata or {}).get(RUN_MARK)
        # An answer is kept with the checkpoint that asked, which the run before wrote.
        answered = bool(self._run.resume and snapshot.tasks and not snapshot.interrupts)
        if not answered and (not mark or mark != self._run.unique_id):
            return await self.plan()
        plan = self._plan(snapshot, self._checkpoint(snapshot), None)
        waits = bool(snapshot.interrupts) or await self._thread.at_breakpoint(snapshot)
        # A task that has ended, and whose step has not, is not among the next ones.
        plan.runs = bool(snapshot.tasks) and not waits
        plan.interrupts = snapshot.interrupts
        return plan

    async def _begun(
        self, snapshot: StateSnapshot, checkpoint: CheckpointMessages, point: BaseMessage | None
    ) -> RunPlan:
        if point is not None and (fork := await self._forked(snapshot, checkpoint, point)):
            return fork
        node_name = self._run.node_name
        if point is None and node_name and await self._at_breakpoint(node_name, snapshot):
            return await self._continued(snapshot, checkpoint, node_name)
        if await self._thread.settle(self._config, snapshot):
            snapshot = await self._thread.state(self._config)
            checkpoint = self._checkpoint(snapshot)
        return self._rewound(snapshot, checkpoint, point) if point else self._appended(snapshot, checkpoint)

    def _checkpoint(self, snapshot: StateSnapshot) -> CheckpointMessages:
        """Return the checkpoint's messages; from here on the client's are under the same ids."""
        checkpoint = CheckpointMessages(as_langchain(_values(snapshot).get("messages")))
        self._sent = checkpoint.recognise(self._sent)
        return checkpoint

    def _from_scratch(self) -> RunPlan:
        checkpoint = CheckpointMessages(())
        new = unknown(checkpoint, self._sent)
        return RunPlan(new if self._schema.takes_list else self._input({}, checkpoint, new), self._config, checkpoint)

    async def _listed(self, snapshot: StateSnapshot) -> RunPlan:
        """Return the plan for a workflow of the functional API that takes messages: those that it did not save."""
        saved, working = await self._thread.inputs(snapshot)
        checkpoint = CheckpointMessages(as_langchain(saved))
        self._sent = checkpoint.recognise(self._sent)
        if self._run.resume and snapshot.interrupts:
            answers = resume_map(snapshot.interrupts, self._run.resume)
            return self._going_on(self._plan(snapshot, checkpoint, Command(resume=answers)))
        present = CheckpointMessages([*checkpoint.messages, *as_langchain(working)])
        if (snapshot.interrupts or self._run.resume) and not has_news(present, self._sent):
            return self._idle(snapshot, checkpoint)
        return self._plan(snapshot, checkpoint, unknown(checkpoint, self._sent) or to_langchain(self._sent[-1:]))

    def _appended(self, snapshot: StateSnapshot, checkpoint: CheckpointMessages) -> RunPlan:
        update = self._input(_values(snapshot), checkpoint, unknown(checkpoint, self._sent))
        return self._plan(snapshot, checkpoint, update)

    async def _answered(self, snapshot: StateSnapshot, checkpoint: CheckpointMessages) -> RunPlan | None:
        new = unknown(checkpoint, self._sent)
        answers = typed_answers(snapshot.interrupts, new)
        if not answers:
            return None
        if any(asks_by_message(each) and each.id in answers for each in snapshot.interrupts):
            if not self._thread.passes_objects:
                answers = {id_: text_of(messages[-1].content) for id_, messages in answers.items()}
            return await self._resumed(snapshot, checkpoint, answers, new)
        return await self._resumed(snapshot, checkpoint, answers)

    async def _resumed(
        self,
        snapshot: StateSnapshot,
        checkpoint: CheckpointMessages,
        answers: dict[str, Any],
        new: Sequence[BaseMessage] = (),
    ) -> RunPlan:
        values, written = _values(snapshot), await self._thread.written(snapshot)
        sent = {**self._state(values), **self._client_state(values.get("copilotkit"))}
        news = {key: sent[key] for key in sent if key not in written and not _holds(values, key, sent[key])}
        if new and self._schema.merges_messages:
            news |= self._messages(checkpoint, list(new))
        command: Command[Any] = Command(resume=answers, update=self._writable(news) or None)
        return self._going_on(self._plan(snapshot, checkpoint, command))

    def _going_on(self, plan: RunPlan) -> RunPlan:
        """Return the plan of a run that goes on in the middle of a step, with what the client has of it."""
        sent = self._run.messages
        parents = (message.parent_message_id for message in sent if isinstance(message, ToolCallMessage))
        plan.shown = frozenset((*(message.id for message in sent), *filter(None, parents)))
        return plan

    async def _continued(self, snapshot: StateSnapshot, checkpoint: CheckpointMessages, node_name: str) -> RunPlan:
        update = self._input(_values(snapshot), checkpoint, unknown(checkpoint, self._sent))
        await self._thread.update(self._config, self._writable(update), node_name)
        return self._plan(snapshot, checkpoint, None)

    def _writable(self, update: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in update.items() if self._schema.writes(key)}

    async def _forked(
        self, snapshot: StateSnapshot, checkpoint: CheckpointMessages, point: BaseMessage
    ) -> RunPlan | None:
        """Return the run from the checkpoint before ``point``, or None."""
        start = await self._before(snapshot, point.id)
        if start is None:
            return None
        before = CheckpointMessages(as_langchain(_values(start).get("messages")))
        update = self._messages(before, self._repeated(before, checkpoint, point)) | self._client_state(None)
        config = merge_configs(self._config, start.config)
        return RunPlan(update, config, before, _values(start))

    def _rewound(self, snapshot: StateSnapshot, checkpoint: CheckpointMessages, point: BaseMessage) -> RunPlan:
        place = next(i for i, message in enumerate(checkpoint.messages) if message.id == point.id)
        before = CheckpointMessages([checkpoint.original(message) for message in checkpoint.messages[:place]])
        kept = merged(before.messages, self._repeated(before, checkpoint, checkpoint.messages[place]))
        update = messages_update(self._schema, checkpoint, kept)
        return self._plan(snapshot, checkpoint, {"messages": update, **self._client_state(None)})

    def _repeated(
        self, before: CheckpointMessages, checkpoint: CheckpointMessages, point: BaseMessage
    ) -> list[BaseMessage]:
        at = next(i for i, message in enumerate(self._sent) if checkpoint.owner(message) is point)
        again = [m for m in self._sent[at:] if checkpoint.owner(m) is point or m not in checkpoint]
        return unknown(before, again)

    async def _is_rewritten(self, snapshot: StateSnapshot, checkpoint: CheckpointMessages, point: BaseMessage) -> bool:
        """Return whether it was the graph that changed a message, and not the person who sent what the client has."""
        parts = [i for i, message in enumerate(self._sent) if checkpoint.owner(message) is point]
        if any(isinstance(message, ToolResultMessage) for message in self._sent[parts[-1] :]):
            return True
        sent = "".join(part.content for i in parts if isinstance(part := self._sent[i], TextMessage))
        while (kept := _message(snapshot, point.id)) is not None:
            if text_of(kept.content) == sent:
                return True
            if snapshot.parent_config is None:
                return False
            snapshot = await self._thread.state(snapshot.parent_config)
        return False

    async def _before(self, snapshot: StateSnapshot, message_id: str | None) -> StateSnapshot | None:
        while _message(snapshot, message_id) is not None:
            if snapshot.parent_config is None:
                return None
            snapshot = await self._thread.state(snapshot.parent_config)
        return snapshot if snapshot.created_at else None

    async def _at_breakpoint(self, node_name: str, snapshot: StateSnapshot) -> bool:
        if not snapshot.next or snapshot.interrupts:
            return False
        return await self._thread.waits_behind(node_name, snapshot)

    def _idle(self, snapshot: StateSnapshot, checkpoint: CheckpointMessages) -> RunPlan:
        if not snapshot.interrupts:
            log.warning("langgraph_resume_without_interrupt", thread_id=self._run.thread_id)
        turn = self._plan(snapshot, checkpoint, None)
        turn.runs = False
        turn.interrupts = snapshot.interrupts
        return turn

    def _plan(self, snapshot: StateSnapshot, checkpoint: CheckpointMessages, input_: Any) -> RunPlan:
        return RunPlan(input_, self._config, checkpoint, _values(snapshot))

    def _input(
        self, values: Mapping[str, Any], checkpoint: CheckpointMessages, new: list[BaseMessage]
    ) -> dict[str, Any]:
        return {**self._state(values), **self._messages(checkpoint, new), **self._client_state(None)}

    def _messages(self, checkpoint: CheckpointMessages, new: list[BaseMessage]) -> dict[str, Any]:
        if not self._schema.has_messages:
            return {}
        update = messages_update(self._schema, checkpoint, merged(checkpoint.messages, new))
        checkpoint.note(new)
        return {"messages": update}

    def _state(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the client's state where it differs from the graph's: all of it would go through reducers again."""
        return {
            key: self._schema.replacement(key, value, values)
            for key, value in self._run.state.items()
            if key not in OWN_KEYS and self._schema.takes(key) and not _holds(values, key, value)
        }

    def _client_state(self, kept: Any) -> dict[str, Any]:
        client = client_properties(self._run)
        shape = {
            "copilotkit": {**(kept if isinstance(kept, Mapping) else {}), **client},
            "tools": client["actions"],
            "ag-ui": {"tools": client["actions"], "context": client["context"]},
        }
        return {key: value for key, value in shape.items() if self._schema.takes(key)}


def client_properties(run: RunInput) -> dict[str, Any]:
    """Return the client's tools and readable context, in the shape that the SDK and ``bind_tools`` both take."""
    return {
        "actions": [_action(tool.name, tool.description, tool.parameters) for tool in run.tools],
        "context": [{"description": item.description, "value": item.value} for item in run.context],
    }


def _action(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "name": name, "function": function}


def _message(snapshot: StateSnapshot, id_: str | None) -> BaseMessage | None:
    return next((m for m in as_langchain(_values(snapshot).get("messages")) if m.id == id_), None)


def _values(snapshot: StateSnapshot) -> Mapping[str, Any]:
    return snapshot.values if isinstance(snapshot.values, Mapping) else {}


def _holds(values: Mapping[str, Any], key: str, value: Any) -> bool:
    return key in values and is_echo(values[key], value)
