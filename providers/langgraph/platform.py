"""Graphs on LangGraph servers (LangSmith deployments, ``langgraph dev``) as agents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing, suppress
from typing import Any

import msgspec
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from ...runtime.context import RunContext, RunInput
from ...runtime.events import Event
from ...runtime.provider import AgentDescriptor, AgentProvider, StateSchemas
from ...runtime.stores.interface import AgentState
from ..agent_names import check_names
from .capabilities import MEDIA, graph_capabilities
from .configuration import ClientKeys, forwarded_headers, own_configuration, run_configuration, shows_subgraphs
from .deployment import Assistant, RemoteThread, find_assistant, remote_stream, server_thread_id
from .run_plan import RunPlan, RunPlanner
from .running import StreamPart, run_events
from .thread import agent_state, state_update
from .translation import Translator


class Deployment(msgspec.Struct, kw_only=True, frozen=True):
    """Where an agent's graph is deployed.

    ``graph_id`` is the graph's name there. ``assistant_id`` chooses one of its assistants; by default the
    first. ``api_key`` is by default LangGraph's own environment variable's.
    """

    url: str
    graph_id: str
    assistant_id: str | None = None
    api_key: str | None = None
    headers: dict[str, str] = {}


class LangGraphPlatformProvider(AgentProvider):
    """Runs graphs on LangGraph servers. To a client they behave as graphs in this process do.

    All agents on one thread of a server share its checkpoints, as they do for the TypeScript runtime.

    Args:
        deployments: The agents by name.
        name: The provider's name.
        descriptions: What the agents do, by agent name.
        stream_subgraphs: Whether messages of subgraphs are shown; the client may decide otherwise for a run
            (``config.streamSubgraphs``).
        context_headers: The names of the request headers that are sent on, in lower case, among those that the
            runtime lets through; by default all that begin with ``x-``. Besides, the client's property
            ``authorization`` becomes the header of that name (docs/contract.md, section 6.5).
        clients: Ready clients by URL, for servers that are reached in a way of their own.
    """

    declares_config = True
    takes = MEDIA

    def __init__(
        self,
        deployments: Mapping[str, Deployment],
        *,
        name: str = "langgraph-platform",
        descriptions: Mapping[str, str] | None = None,
        stream_subgraphs: bool = True,
        context_headers: Collection[str] | None = None,
        clients: Mapping[str, LangGraphClient] | None = None,
    ) -> None:
        check_names("LangGraphPlatformProvider", deployments, example="deployment")
        self.name = name
        self._deployments = dict(deployments)
        self._descriptions = dict(descriptions or {})
        self._stream_subgraphs = stream_subgraphs
        self._context_headers = context_headers
        self._clients = dict(clients or {})
        self._given = frozenset(self._clients)
        self._assistants: dict[str, Assistant] = {}

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the registered agents, without a request to the servers."""
        return [AgentDescriptor(name=name, description=self._descriptions.get(name, "")) for name in self._deployments]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Run a graph on its server, and yield what happens, as it happens.

        Raises:
            ConfigurationError: The server has no such graph.
            DeploymentError: The graph failed there.
        """
        client, assistant = await self._reach(agent_name)
        headers = {**forwarded_headers(context, self._context_headers), **_authorization(context)}
        thread_id = server_thread_id(run.thread_id)
        await client.threads.create(
            thread_id=thread_id,
            graph_id=self._deployments[agent_name].graph_id,
            if_exists="do_nothing",
            headers=headers,
        )
        thread = RemoteThread(client, thread_id, headers)
        keys = ClientKeys(
            declared=assistant.declared,
            opened=self.client_config_keys,
            authenticated=context.identity is not None,
        )
        own = own_configuration(run, context, self._context_headers)
        config = run_configuration(run, own, keys)
        plan = await RunPlanner(thread, assistant.schema, run, config).plan()
        shown = shows_subgraphs(run, otherwise=self._stream_subgraphs)
        translator = Translator(assistant.schema, plan, subgraphs=shown)

        def stream(plan: RunPlan) -> AsyncGenerator[StreamPart, None]:
            return remote_stream(client, assistant.id, thread_id, plan, headers)

        async with aclosing(run_events(plan, translator, stream, thread, config)) as events:
            async for event in events:
                yield event

    async def state_schemas(self, agent_name: str) -> StateSchemas:
        """Return the schemas that the server has of the graph."""
        _, assistant = await self._reach(agent_name)
        return assistant.states

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        """Return what the server holds of this thread, or None if it does not know it."""
        client, assistant = await self._reach(agent_name)
        snapshot = await RemoteThread(client, server_thread_id(thread_id), {}).state({"configurable": {}})
        return agent_state(assistant.schema, snapshot)

    async def save_state(self, thread_id: str, agent_name: str, state: AgentState) -> None:
        """Write a new checkpoint in which the thread's state and messages are those given."""
        client, assistant = await self._reach(agent_name)
        server_id = server_thread_id(thread_id)
        graph_id = self._deployments[agent_name].graph_id
        await client.threads.create(thread_id=server_id, graph_id=graph_id, if_exists="do_nothing")
        thread = RemoteThread(client, server_id, {})
        snapshot = await thread.state({"configurable": {}})
        update = state_update(assistant.schema, snapshot, state)
        await thread.update({"configurable": {}}, update, None if snapshot.created_at else "__start__")

    @property
    def keeps_threads_elsewhere(self) -> bool:
        """True: servers keep threads."""
        return True

    async def keeps_thread(self, thread_id: str) -> bool:
        """Return whether one of the servers has this thread."""
        for client in self._all_clients():
            try:
                await client.threads.get(server_thread_id(thread_id))
            except NotFoundError:
                continue
            return True
        return False

    def capabilities(self, agent_name: str) -> dict[str, Any]:
        """Return what holds for all graphs."""
        del agent_name
        return graph_capabilities()

    async def delete_thread(self, thread_id: str) -> None:
        """Delete the thread on all servers."""
        for client in self._all_clients():
            with suppress(NotFoundError):
                await client.threads.delete(server_thread_id(thread_id))

    def _all_clients(self) -> list[LangGraphClient]:
        by_url = {deployment.url: deployment for deployment in self._deployments.values()}
        return [self._client(deployment) for deployment in by_url.values()]

    async def stop(self) -> None:
        """Close the connections that the provider opened."""
        for url, client in self._clients.items():
            if url not in self._given:
                await client.aclose()
        self._clients = {url: self._clients[url] for url in self._given}

    async def _reach(self, agent_name: str) -> tuple[LangGraphClient, Assistant]:
        deployment = self._deployments[agent_name]
        client = self._client(deployment)
        if agent_name not in self._assistants:
            found = await find_assistant(client, deployment.graph_id, deployment.assistant_id)
            self._assistants[agent_name] = found
        return client, self._assistants[agent_name]

    def _client(self, deployment: Deployment) -> LangGraphClient:
        if deployment.url not in self._clients:
            self._clients[deployment.url] = get_client(
                url=deployment.url, api_key=deployment.api_key, headers=deployment.headers
            )
        return self._clients[deployment.url]


def _authorization(context: RunContext) -> dict[str, str]:
    token = context.properties.get("authorization")
    return {"authorization": f"Bearer {token}"} if isinstance(token, str) and token else {}
