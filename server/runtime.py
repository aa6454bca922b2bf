"""CopilotRuntime: the one object that an application makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Never, Self, overload

from starlette.applications import Starlette

from ..providers.models import model_provider
from ..resolvers import build_schema
from ..runtime.actions.source import ActionsOf, ActionSource, ComputedActions, sources_of
from ..runtime.config import RuntimeConfig
from ..runtime.entry_points import installed_providers
from ..runtime.errors import ConfigurationError
from ..runtime.events import Event
from ..runtime.execution.worker import Worker
from ..runtime.generated_ui import A2UI
from ..runtime.generated_ui.interfaces import GeneratedInterfaces
from ..runtime.guardrails import Guardrail
from ..runtime.hooks import Hooks
from ..runtime.info import RuntimeInfo, runtime_info
from ..runtime.messages import Message
from ..runtime.observability.instrumentation import Instruments
from ..runtime.observability.logs import log_without_values
from ..runtime.observability.loop_watchdog import LoopWatchdog
from ..runtime.per_loop import PerLoop
from ..runtime.preparation import Preparation
from ..runtime.provider import AgentDescriptor, AgentProvider, StateSchemas
from ..runtime.redaction import without_secrets
from ..runtime.runs.exits import contain_exits, release_exits
from ..runtime.service import RuntimeService
from ..runtime.setting_types import served_path
from ..runtime.stores.interface import AgentState, StateStore, ThreadInfo, ThreadPage
from ..runtime.stores.settings import StoreSettings
from ..runtime.stores.urls import open_run_log, open_store
from ..wires.agui.endpoint import AGUIWire
from ..wires.agui.transcription import Transcribe, Transcription
from ..wires.gateway import Gateway
from ..wires.graphql.endpoint import GraphQLWire, version_headers
from ..wires.graphql.rest_extensions import RestExtensions
from ..wires.http.admission import Admission
from ..wires.http.auth import Authenticate, Authenticator, authentication
from ..wires.http.open_streams import OpenStreams
from ..wires.wire import Routed
from . import app as http_app
from .agents import checked_provider, checked_providers, providers_of
from .arguments import check_application, check_arguments, listed_guardrails, refuse_unknown
from .background import BackgroundRun, follow, start_run
from .execution import queue_worker, queued_execution
from .probes import MetricsPage, ReadyProbe
from .readiness import ReadinessCheck
from .stream_check import StreamCheck

if TYPE_CHECKING:
    from ..providers.mcp.apps import MCPApps


class CopilotRuntime:
    """A CopilotKit runtime.

    Args:
        providers: Where the agents come from.
        agents: Agents by name that need no options: LangGraph graphs, crews and flows, AG-UI agents and their URLs.
        model: What answers requests that name no agent: ``"openai:gpt-4o"`` and the like, a client, a chat model, a
            callable that picks one per request, or None.
        store: ``memory://``, ``sqlite:///path``, ``redis://…``, ``postgresql://…``, or a store; None for
            ``config.store``.
        config: The settings; None for those of the environment.
        auth: Identifies the caller: an ``Authenticator``, or a callable of the request that gives an ``Identity`` or
            None, and may await; ``"none"`` to let everybody in; None for what the settings ask for.
        actions: Server-side actions: ``Action`` objects, plain functions, LangServe chains and ``ActionSource``
            objects; or a function of the request's context that returns such a list, and may await.
        mcp_servers: MCP servers whose tools are actions: ``MCPServer`` objects, URLs, or ``{"endpoint": ...}``.
        hooks: What observes, and may refuse, requests and answers.
        guardrails: One or several, which judge each request in order.
        agents_as_actions: The names of the agents that models, and other agents, may call as tools; True for all.
        transcribe: Turns speech into text; without it, clients show no microphone.
        a2ui: Whether agents draw A2UI surfaces, or how; None for the settings'.
        open_generative_ui: Whether agents write pages for a client's sandbox, or which agents do; None for the
            settings'.
        mcp_apps: MCP servers whose tools bring interfaces: as ``mcp_servers``, besides those of the settings.
        unknown: None: what is misspelt, or is a setting, is refused with what to write.

    Raises:
        ConfigurationError: An argument is unknown or of the wrong kind, two providers share a name, the store's URL is
            not one, or authentication is missing in production.
        MissingExtraError: What an agent needs is not installed.
    """

    def __init__(
        self,
        providers: Iterable[AgentProvider] = (),
        *,
        agents: Mapping[str, Any] | None = None,
        model: Any = None,
        store: str | StateStore | None = None,
        config: RuntimeConfig | None = None,
        auth: Authenticator | Authenticate | Literal["none"] | None = None,
        actions: Iterable[Any] | ActionsOf = (),
        mcp_servers: Iterable[Any] = (),
        hooks: Hooks | None = None,
        guardrails: Guardrail | Iterable[Guardrail] = (),
        agents_as_actions: bool | Iterable[str] = False,
        transcribe: Transcribe | None = None,
        a2ui: A2UI | bool | None = None,
        open_generative_ui: bool | Iterable[str] | None = None,
        mcp_apps: Iterable[Any] = (),
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, ("providers", *(CopilotRuntime.__init__.__kwdefaults__ or ())))
        check_arguments(auth=auth, config=config, hooks=hooks, store=store, transcribe=transcribe)
        given = [*checked_providers(providers), *providers_of({} if agents is None else agents)]
        log_without_values()
        self._transcription = Transcription(transcribe)
        self.config = config or RuntimeConfig()
        self._instruments = Instruments(self.config)
        self.streams = OpenStreams()
        """The requests that are being answered."""
        blocked = self.config.blocked_loop_seconds
        self._watchdog = LoopWatchdog(blocked, self._instruments.blocked) if blocked else None
        chosen = self.config.store if store is None else store
        self.store_name = without_secrets(chosen) if isinstance(chosen, str) else type(chosen).__name__
        """The store for people: its URL without password, or its class."""
        self.model_name = None if model is None else model if isinstance(model, str) else type(model).__name__
        """The model for people: as it was named, or its class."""
        settings = _store_settings(self.config)
        states = open_store(chosen, settings) if isinstance(chosen, str) else chosen
        self._admission = Admission(self.config, authentication(auth, self.config), states)
        opened = self._instruments.watch_store(states)
        apps = _app_servers(mcp_apps, self.config)
        preparation = Preparation(
            self.config,
            opened,
            sources=[*_action_sources(actions), *apps],
            last_sources=_mcp_sources(mcp_servers, self.config),
            guardrails=listed_guardrails(guardrails),
            hooks=hooks,
            agents_as_actions=agents_as_actions,
            interfaces=GeneratedInterfaces(
                a2ui=self.config.a2ui if a2ui is None else a2ui,
                sandboxed=_sandboxed(open_generative_ui, self.config),
                apps=apps[0] if apps else None,
                max_bytes=self.config.max_generated_ui_bytes,
            ),
        )
        answering = None if model is None else model_provider(model)
        self.service = RuntimeService(self.config, opened, answering, preparation, open_run_log(states, settings))
        self._instruments.watch_runs(self.service.observers)
        installed = installed_providers() if self.config.installed_providers else ()
        for provider in (*given, *installed):
            self.add_provider(provider)
        self._worker: Worker | None = None
        if self.config.execution == "queue":
            self.service.execution = queued_execution(self.service, self.config)
        self._starting = PerLoop(asyncio.Lock)
        self._running = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def authenticates(self) -> bool:
        """Whether requests need credentials."""
        return self._admission.authenticates

    async def check_rates(self) -> None:
        """Find out whether requests can be counted, where they are limited.

        Raises:
            StoreError: They cannot.
        """
        for check in self._admission.checks.values():
            await check()

    @property
    def serves_chat(self) -> bool:
        """Whether the chat page is served."""
        return self.config.env == "development" and self.config.chat_page

    def create_app(self) -> Starlette:
        """Return a Starlette application that serves the runtime at ``config.graphql_path``."""
        return http_app.create_app(self._endpoints(), self.config.graphql_path, self._lifespan)

    def become_worker(self) -> None:
        """Have this runtime execute the runs of ``config.queues`` once it is started, instead of taking requests.

        Raises:
            ConfigurationError: The store is not one that several machines share.
            MissingExtraError: The extra ``queue`` is not installed.
        """
        self.service.execution = None
        self._worker = queue_worker(self.service, self.config)

    def create_probes(self, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]) -> Starlette:
        """Return an application that serves the probes alone: health, readiness and metrics.

        Args:
            lifespan: Entered around it.
        """
        return http_app.create_probes(self._endpoints(), lifespan)

    def mount(self, app: Starlette, path: str | None = None) -> None:
        """Serve the runtime on a Starlette or FastAPI application.

        Args:
            app: The application; its lifespan starts and stops the runtime.
            path: Where; None for ``config.graphql_path``.

        Raises:
            ConfigurationError: The path cannot be served, or the application is of another kind.
        """
        check_application(app)
        try:
            place = self.config.graphql_path if path is None else served_path(path)
        except ValueError as error:
            raise ConfigurationError(f"The path '{path}' {error}.") from error
        http_app.mount(app, self._endpoints(), place, self._lifespan)

    def add_provider(self, provider: AgentProvider) -> None:
        """Register a provider.

        Raises:
            ConfigurationError: It is not a provider or cannot run anything, or another one has its name.
        """
        self.service.add_provider(checked_provider(provider))

    def remove_provider(self, name: str) -> AgentProvider:
        """Take a provider out; runs that it executes go on.

        Raises:
            ConfigurationError: No provider has that name.
        """
        return self.service.registry.remove(name)

    def get_provider(self, name: str) -> AgentProvider | None:
        """Return the provider of that name, if there is one."""
        return self.service.registry.get(name)

    def list_providers(self) -> list[AgentProvider]:
        """Return all providers, in the order of their registration."""
        return self.service.registry.all()

    async def discover_agents(self) -> list[AgentDescriptor]:
        """List the agents of all providers anew; those of workers are known once the runtime has started."""
        self._settle()
        discovery = await self.service.registry.discover()
        return [agent for agent, _ in discovery.agents.values()]

    async def state_schemas(self) -> dict[str, StateSchemas]:
        """Return the schemas of all agents' states, by agent name."""
        agents = (await self.service.registry.discover()).agents
        return {name: await provider.state_schemas(name) for name, (_, provider) in agents.items()}

    async def runtime_info(self) -> RuntimeInfo:
        """Return what the runtime is, and the agents it has."""
        return runtime_info(await self.service.available_agents())

    async def load_agent_state(self, *, thread_id: str, agent_name: str) -> AgentState | None:
        """Return an agent's state and messages on a thread, or None.

        Raises:
            AgentNotFoundError: The agent does not exist.
        """
        await self._ready()
        return await self.service.load_agent_state(thread_id=thread_id, agent_name=agent_name)

    async def save_agent_state(self, *, thread_id: str, agent_name: str, state: dict[str, Any]) -> None:
        """Replace an agent's state on a thread; its messages stay.

        Args:
            thread_id: The thread.
            agent_name: The agent.
            state: The new state.

        Raises:
            AgentNotFoundError: The agent does not exist.
        """
        await self._ready()
        await self.service.save_agent_state(thread_id=thread_id, agent_name=agent_name, state=state)

    @property
    def store(self) -> StateStore:
        """Where states and the records of threads are kept."""
        return self.service.store

    async def threads(self, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> ThreadPage:
        """List threads, last written first.

        Args:
            owner: Only the threads of this owner; None for all.
            limit: How many at most.
            cursor: ``cursor`` of the page before; None for the first.
        """
        await self._ready()
        return await self.service.threads.page(owner=owner, limit=limit, cursor=cursor)

    async def thread(self, thread_id: str) -> ThreadInfo | None:
        """Look a thread's record up, by any spelling of its id, or None."""
        await self._ready()
        return await self.service.threads.info(thread_id)

    async def delete_thread(self, thread_id: str, *, owner: str | None = None) -> bool:
        """Delete a thread with every trace of it: states, checkpoints, logs, conversations of providers.

        Args:
            thread_id: The thread.
            owner: Whose thread it must be; None for the application, which may delete all.

        Returns:
            Whether it was kept.

        Raises:
            ThreadNotFoundError: It is not ``owner``'s.
            ThreadBusyError: A run in it did not stop.
        """
        await self._ready()
        return await self.service.threads.delete(thread_id, identity=owner)

    async def delete_threads(self, *, owner: str) -> int:
        """Delete all threads of an owner, and what agents remember of them; returns how many threads there were.

        Raises:
            ThreadBusyError: A run in one of them did not stop.
        """
        await self._ready()
        return await self.service.threads.delete_of(owner)

    async def compact_store(self) -> int:
        """Let go of what no later run needs, such as old checkpoints, and give the room back.

        Returns:
            How many threads were compacted: all but those in which a run went on.
        """
        await self._ready()
        return await self.service.threads.compact()

    async def assign_thread(self, thread_id: str, owner: str) -> None:
        """Make somebody the owner of a thread that has none, with all that is kept under it.

        Raises:
            ThreadNotFoundError: It is somebody else's.
        """
        await self._ready()
        await self.service.threads.assign(thread_id, owner)

    async def start_run(
        self,
        agent_name: str | None,
        messages: str | Sequence[Message],
        *,
        thread_id: str | None = None,
        state: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        owner: str | None = None,
    ) -> BackgroundRun:
        """Start a run without a client, which can join it at any time.

        Args:
            agent_name: The agent; None for the model.
            messages: What to send: the text of a user's message, or messages.
            thread_id: The thread; None for a new one.
            state: The state that the agent is given.
            properties: What a client would send as properties.
            owner: Whose thread it is; None for the application's own.

        Raises:
            AgentNotFoundError: The agent does not exist.
            NoModelError: No agent is named, and no model is set.
            ThreadNotFoundError: The thread is somebody else's.
            ShuttingDownError: The runtime is about to end.
        """
        await self._ready()
        return await start_run(
            self.service,
            agent_name,
            messages,
            thread_id=thread_id,
            state=state,
            properties=properties,
            owner=owner,
        )

    def follow(
        self, thread_id: str, *, run_id: str | None = None, after: int = 0, owner: str | None = None
    ) -> AsyncGenerator[Event]:
        """Yield the events of a thread's run as they come, wherever it goes on; of its last run if none does.

        Args:
            thread_id: The thread.
            run_id: Only the run of this id. Give it with ``after``, which counts the events of one run.
            after: The number of the last event that was read before; events are numbered from 1.
            owner: Whose thread it must be; None for the application, which may read all.

        Raises:
            ThreadNotFoundError: The thread is not ``owner``'s.
            Lagged: What follows ``after`` is only kept compacted: follow again from 0.
        """
        return follow(self.service, thread_id, run_id=run_id, after=after, owner=owner, ready=self._ready)

    async def _ready(self) -> None:
        """Start a runtime that has not been started yet, as its first request does; one that was stopped stays so."""
        if self._running:
            self._settle()
        elif not self.service.draining:
            await self.start()

    def _settle(self) -> None:
        """Go on with what is done beside requests where the loop that did it has ended, as after ``asyncio.run``."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop and self._loop.is_closed():
            contain_exits(loop)
            self.service.go_on()
            self._watch(loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        if self._watchdog is not None:
            self._watchdog.start()

    async def start(self) -> None:
        """Start the store and the providers; do nothing if the runtime has been started.

        Raises:
            CopilotKitError: One of them cannot start.
        """
        if self._running:
            self._settle()
            return
        async with self._starting.here:
            if not self._running:
                if self.authenticates:
                    self.service.threads.check_owners(production=self.config.env == "production")
                await self._admission.start()
                contain_exits(asyncio.get_running_loop())
                await self.service.open()
                if self._worker is not None:
                    await self._worker.start()
                self._watch(asyncio.get_running_loop())
                self._running = True

    @overload
    async def stop(self) -> None: ...

    @overload
    async def stop(self, thread_id: str, *, run_id: str | None = None, owner: str | None = None) -> bool: ...

    async def stop(
        self, thread_id: str | None = None, *, run_id: str | None = None, owner: str | None = None
    ) -> bool | None:
        """Stop the runtime, or with a thread the run that goes on there, in whichever process.

        Without a thread this cancels what runs and stops the providers and the store; it does nothing if the runtime
        is not started.

        Args:
            thread_id: The thread whose run is to stop.
            run_id: Only a run of this id.
            owner: Whose thread it must be; None for the application, which may stop all.

        Returns:
            With a thread, whether a run went on there.

        Raises:
            ThreadNotFoundError: The thread is not ``owner``'s.
        """
        if thread_id is not None:
            await self._ready()
            return await self.service.stops.stop(thread_id, run_id=run_id, identity=owner)
        await self._stop()
        return None

    async def _stop(self) -> None:
        async with self._starting.here:
            if self._running:
                self._running = False
                if self._watchdog is not None:
                    self._watchdog.stop()
                await self._transcription.stop()
                if self._worker is not None:
                    await self.service.drain(0)
                    await self._worker.stop()
                await self.service.close()
                release_exits(asyncio.get_running_loop())
                await self._admission.close()
                await self._instruments.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _endpoints(self) -> http_app.Endpoints:
        instruments, admission = self._instruments, self._admission
        gateway = Gateway(self.config, admission, instruments, self.streams, version_headers)
        schema = build_schema(extensions=self.config.extensions)
        graphql = GraphQLWire(self.service, schema, admission, instruments, self.start)
        agui = AGUIWire(self.service, admission, self.start, self._transcription, streaming=instruments.streaming)
        extensions = [RestExtensions(self.service, admission, self.start)] if self.config.extensions else []
        routed: list[Routed] = [graphql, *extensions, agui]
        return http_app.Endpoints(
            shared=gateway.shared([graphql, agui]),
            health=gateway.fixed(200, [("x-yoga-id", "yoga")], probe=True),
            missing=gateway.missing(),
            stream_check=StreamCheck(admission),
            ready=ReadyProbe(ReadinessCheck(self.service, admission.checks, self._instruments.store_failed)),
            metrics=MetricsPage(instruments.metrics, admission) if instruments.metrics is not None else None,
            chat=self.serves_chat,
            graphiql=self.config.graphiql,
            owned=[
                http_app.OwnedPath(route.path, gateway.owned(wire, route)) for wire in routed for route in wire.routes()
            ],
        )

    def _lifespan(self) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def around() -> AsyncIterator[None]:
            async with self:
                yield

        return around()


def _store_settings(config: RuntimeConfig) -> StoreSettings:
    lease = config.store_lease_seconds
    return StoreSettings(
        ttl=config.store_ttl_seconds,
        max_bytes=config.store_max_bytes,
        max_runs=config.store_max_runs,
        max_run_bytes=config.store_max_run_bytes,
        run_ttl=config.store_run_ttl_seconds,
        lease=lease,
        heartbeat=min(1.0, lease / 4),
    )


def _action_sources(actions: Iterable[Any] | ActionsOf) -> list[ActionSource]:
    return sources_of(actions) if isinstance(actions, Iterable) else [ComputedActions(actions)]


def _sandboxed(given: bool | Iterable[str] | None, config: RuntimeConfig) -> bool | list[str]:
    if given is None:
        return config.open_generative_ui
    return given if isinstance(given, bool) else list(given)


def _app_servers(servers: Iterable[Any], config: RuntimeConfig) -> list[MCPApps]:
    listed = [*servers, *config.mcp_apps]
    if not listed:
        return []
    from ..providers.mcp.apps import MCPApps

    return [MCPApps(listed, max_bytes=config.max_generated_ui_bytes)]


def _mcp_sources(servers: Iterable[Any], config: RuntimeConfig) -> list[ActionSource]:
    listed = list(servers)
    if not listed and not config.mcp_client_urls:
        return []
    from ..providers.mcp import MCPSource

    return [MCPSource(listed, client_urls=config.mcp_client_urls)]
