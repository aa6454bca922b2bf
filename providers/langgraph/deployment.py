"""One graph on a LangGraph server, called through ``langgraph-sdk``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.constants import END
from langgraph.types import Command, Interrupt, PregelTask, StateSnapshot
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError
from langgraph_sdk.schema import Checkpoint, Config, StreamMode
from langgraph_sdk.schema import StreamPart as SentPart
from msgspec import Struct

from ...runtime.client_config import is_framework_name
from ...runtime.errors import ConfigurationError
from ...runtime.provider import StateSchemas
from ...runtime.stores.thread_keys import thread_key
from .custom_events import DispatchedEvent, root_task_id
from .encoding import Encoder
from .history import RUN_ID_PREFIX
from .json_schema import visible
from .messages import message_of
from .run_plan import RunPlan
from .running import StreamPart
from .schema import OWN_KEYS, GraphSchema

# "events" is asked for because custom events come by no other way; of the rest of it nothing is used.
_MODES: Final[Sequence[StreamMode]] = ("messages-tuple", "tasks", "values", "custom", "events")
_CHECKPOINT_KEYS = frozenset({"thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"})


class DeploymentError(Exception):
    """The graph failed on its server."""


class Assistant(Struct, frozen=True):
    """A graph on a server, with its configuration there.

    ``declared`` are the names that its schemas of context and configuration have; None if they have none.
    """

    id: str
    schema: GraphSchema
    states: StateSchemas = StateSchemas()
    declared: frozenset[str] | None = None


async def find_assistant(client: LangGraphClient, graph_id: str, assistant_id: str | None) -> Assistant:
    """Look an assistant up: by its id, or the first one of a graph.

    Raises:
        ConfigurationError: The server has none.
    """
    try:
        if assistant_id is None:
            found = await client.assistants.search(graph_id=graph_id, limit=1)
            assistant_id = found[0]["assistant_id"]
        schemas = await client.assistants.get_schemas(assistant_id)
    except (NotFoundError, IndexError) as error:
        wanted = assistant_id or graph_id
        raise ConfigurationError(f"The LangGraph server has no assistant for '{wanted}'.") from error
    schema = _schema(schemas)
    return Assistant(assistant_id, schema, _states(schema, schemas), _declared(schemas))


def _declared(schemas: Mapping[str, Any]) -> frozenset[str] | None:
    """Return what clients may set. Older servers' schemas hold names of LangGraph's own, which declare nothing."""
    named = (_keys(schemas.get(schema)) or () for schema in ("context_schema", "config_schema"))
    return frozenset(name for names in named for name in names if not is_framework_name(name)) or None


def _states(schema: GraphSchema, schemas: Mapping[str, Any]) -> StateSchemas:
    return StateSchemas(
        shown=visible(schemas.get("output_schema"), lambda key: not schema.shows(key)),
        taken=visible(schemas.get("input_schema"), lambda key: key in OWN_KEYS),
    )


def _schema(schemas: Mapping[str, Any]) -> GraphSchema:
    return GraphSchema(
        inputs=_keys(schemas.get("input_schema")),
        outputs=_keys(schemas.get("output_schema")),
        channels=_keys(schemas.get("state_schema")),
        reduced=frozenset({"messages"}),
        merges_messages=True,
        validates=True,
    )


def _keys(schema: Any) -> frozenset[str] | None:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return frozenset(properties) if properties else None


def server_thread_id(thread_id: str) -> str:
    """Return the server's id for a client's thread: servers take UUIDs only, so others are hashed to one.

    It is the key that owners are kept under, so that no other spelling leads to the same conversation.
    """
    return thread_key(thread_id)


class RemoteThread:
    """A thread on a LangGraph server.

    Args:
        client: Speaks to the server.
        thread_id: The thread, by the server's id.
        headers: Sent along.
    """

    remembers = True
    passes_objects = False

    def __init__(self, client: LangGraphClient, thread_id: str, headers: Mapping[str, str]) -> None:
        self._client = client
        self._thread_id = thread_id
        self._headers = dict(headers)

    async def state(self, config: RunnableConfig) -> StateSnapshot:
        """Return the server's answer; an unknown thread has no values."""
        try:
            answer = await self._client.threads.get_state(
                self._thread_id, checkpoint=_checkpoint(config), headers=self._headers
            )
        except NotFoundError:
            return StateSnapshot({}, (), {"configurable": {}}, None, None, None, (), ())
        return _snapshot(answer)

    async def update(self, config: RunnableConfig, values: Mapping[str, Any], node_name: str | None) -> None:
        """Have the server write the checkpoint."""
        encoded = Encoder().encode(values)
        await self._client.threads.update_state(
            self._thread_id, encoded, as_node=node_name, checkpoint=_checkpoint(config), headers=self._headers
        )

    async def written(self, snapshot: StateSnapshot) -> frozenset[str]:
        """Return nothing: a server does not publish its pending writes."""
        return frozenset()

    async def settle(self, config: RunnableConfig, snapshot: StateSnapshot) -> bool:
        """Have the server end the step with what its tasks wrote."""
        if not any(task.result is not None for task in snapshot.tasks):
            return False
        await self._client.threads.update_state(self._thread_id, None, as_node=END, headers=self._headers)
        return True

    async def inputs(self, snapshot: StateSnapshot) -> tuple[Any, Any]:
        """Return nothing: a server does not show the channels of the functional API."""
        return None, None

    async def at_breakpoint(self, snapshot: StateSnapshot) -> bool:
        """Return whether a thread stands at a breakpoint: it is interrupted, with no interrupt to answer."""
        del snapshot
        thread = await self._client.threads.get(self._thread_id, headers=self._headers)
        return thread["status"] == "interrupted"

    async def waits_behind(self, node_name: str, snapshot: StateSnapshot) -> bool:
        """Look whether the thread stands at any breakpoint: the server does not name the node."""
        del node_name
        return await self.at_breakpoint(snapshot)


def _snapshot(answer: Any) -> StateSnapshot:
    interrupts = [each for task in answer["tasks"] for each in task.get("interrupts") or ()]
    return StateSnapshot(
        values=answer["values"],
        next=tuple(answer["next"] or ()),
        config=_configuration(answer.get("checkpoint")) or {"configurable": {}},
        metadata=answer.get("metadata"),
        created_at=answer.get("created_at"),
        parent_config=_configuration(answer.get("parent_checkpoint")),
        tasks=tuple(_task(each) for each in answer["tasks"]),
        interrupts=tuple(Interrupt(value=each.get("value"), id=str(each.get("id"))) for each in interrupts),
    )


def _task(task: Mapping[str, Any]) -> PregelTask:
    return PregelTask(id=str(task.get("id")), name=str(task.get("name")), path=(), result=task.get("result"))


def _configuration(checkpoint: Any) -> RunnableConfig | None:
    return {"configurable": dict(checkpoint)} if checkpoint else None


def _checkpoint(config: RunnableConfig) -> Checkpoint | None:
    named = config.get("configurable", {})
    if "checkpoint_id" not in named:
        return None
    return cast("Checkpoint", {key: value for key, value in named.items() if key in _CHECKPOINT_KEYS})


async def remote_stream(
    client: LangGraphClient, assistant_id: str, thread_id: str, plan: RunPlan, headers: Mapping[str, str]
) -> AsyncGenerator[StreamPart, None]:
    """Run the graph on its server, and yield what ``graph.astream`` would.

    The server is asked to cancel the run when the connection ends.

    Raises:
        DeploymentError: The graph failed there.
    """
    command = plan.input if isinstance(plan.input, Command) else None
    parts = client.runs.stream(
        thread_id,
        assistant_id,
        input=None if command else Encoder().encode(plan.input),
        command=_command(command) if command else None,
        stream_mode=list(_MODES),
        stream_subgraphs=True,
        config=_server_configuration(plan.config),
        checkpoint=_checkpoint(plan.config),
        on_disconnect="cancel",
        multitask_strategy="enqueue",
        headers=dict(headers),
    )
    calls = _Calls()
    async with aclosing(cast("AsyncGenerator[SentPart, None]", parts)) as sent:
        async for part in sent:
            for decoded in _decoded(part, calls):
                yield decoded


def _command(command: Command[Any]) -> Any:
    answers = {"resume": command.resume, "update": command.update}
    return {key: Encoder().encode(value) for key, value in answers.items() if value is not None}


def _server_configuration(config: RunnableConfig) -> Config:
    configurable = {k: v for k, v in config["configurable"].items() if k not in _CHECKPOINT_KEYS}
    sent = Config(configurable=Encoder().encode(configurable))
    if "tags" in config:
        sent["tags"] = config["tags"]
    if "recursion_limit" in config:
        sent["recursion_limit"] = config["recursion_limit"]
    return sent


class _Calls:
    """Gives the chunks of one model call one object of metadata, as they have in the graph's own process."""

    def __init__(self) -> None:
        self._metadata: dict[tuple[str, str], dict[str, Any]] = {}
        self._unnamed: dict[str, dict[str, Any]] = {}

    def metadata_of(self, message: BaseMessage, metadata: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata of the call that ``message`` is a chunk of, by its id and the task it runs in."""
        task, id_ = str(metadata.get("langgraph_checkpoint_ns")), message.id or ""
        noted = self._metadata.get((task, id_))
        if noted is None and id_.startswith(RUN_ID_PREFIX):
            # A vendor's id came with the first chunk only; the others have the one that LangChain made.
            noted = self._unnamed.pop(task, None)
        elif noted is None:
            self._unnamed[task] = metadata
        self._metadata[task, id_] = noted = metadata if noted is None else noted
        return noted


def _decoded(part: SentPart, calls: _Calls) -> Iterable[StreamPart]:
    mode, *names = part.event.split("|")
    namespace, data = tuple(names), cast("Any", part.data)
    match mode:
        case "messages":
            message = _message(data[0])
            yield namespace, mode, (message, calls.metadata_of(message, data[1]))
        case "events" if data.get("event") == "on_custom_event":
            yield namespace, "custom", _dispatched(data)
        case "tasks" | "values" | "custom":
            yield namespace, mode, data
        case "error":
            raise DeploymentError(f"{data.get('error')}: {data.get('message')}")


def _message(sent: dict[str, Any]) -> BaseMessage:
    if sent.get("type") != "AIMessageChunk":
        return message_of(sent)
    derived = ("tool_calls", "invalid_tool_calls")
    return AIMessageChunk(**{key: value for key, value in sent.items() if key not in derived})


def _dispatched(event: Mapping[str, Any]) -> DispatchedEvent:
    return DispatchedEvent(event["name"], event.get("data"), root_task_id(event.get("metadata")))
