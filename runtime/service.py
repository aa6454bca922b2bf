"""The service layer that every wire calls: agents, their states, and runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from .actions.source import ActionEndpoint, EndpointActions
from .active_runs import ActiveRuns
from .client_config import ClientConfigRules
from .config import RuntimeConfig
from .context import RunContext, RunInput
from .errors import (
    AgentNotFoundError,
    CopilotKitError,
    NoModelError,
    RunHandedOverError,
    ShuttingDownError,
    ThreadNotFoundError,
)
from .events import Event
from .execution.envelope import Envelope
from .execution.execution import Execution, Order
from .fresh_ids import fresh_hex
from .hooks.reports import RequestReport
from .input_limits import InputLimits, limit_id, limit_input
from .left_turns import LeftTurns
from .preparation import Preparation
from .provider import AgentDescriptor, AgentProvider
from .readers import RunReaders
from .registry import ProviderRegistry
from .request import RunRequest
from .run_starter import RunStarter, follow
from .runs.archive import RunArchive
from .runs.broken_runs import BrokenRuns
from .runs.handle import RunHandle
from .runs.next_runs import NextRuns
from .runs.observer import Observers
from .runs.origin import Origin
from .runs.retention import RunRetention
from .runs.run import Run
from .runs.turn_saver import TurnSaver
from .stops import RunStops
from .stores.interface import AgentState, StateStore
from .stores.run_log import RunLogStore
from .stores.run_records import RunKey, RunRecord
from .stores.urls import open_run_log
from .threads import Threads

log = structlog.get_logger(__name__)


class RuntimeService:
    """What a runtime does, whatever the wire.

    Args:
        config: The settings.
        store: Where the states of agents are kept whose framework keeps none itself.
        model: What answers requests that name no agent.
        preparation: Actions, guardrails and hooks; None for none.
        runs: Where the events of runs are kept; None for beside the states.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        store: StateStore,
        model: AgentProvider | None,
        preparation: Preparation | None = None,
        runs: RunLogStore | None = None,
    ) -> None:
        self.config = config
        self.store = store
        self.model = model
        self.preparation = preparation or Preparation(config, store)
        self.registry = ProviderRegistry()
        self.observers = Observers()
        self.draining = False
        """Whether this process is about to end."""
        self._refuses = False
        self._closed = False
        self._limits = InputLimits(
            messages=config.max_messages,
            message_bytes=config.max_message_bytes,
            state_bytes=config.max_state_bytes,
        )
        self._active = ActiveRuns()
        self._started: list[AgentProvider] = []
        self.execution: Execution | None = None
        """What executes runs elsewhere; None for this process."""
        self.begun: Callable[[], Awaitable[None]] = _nothing_begins
        """Returns once the runs of other processes that this one is taking have begun."""
        self.threads = Threads(store, self._all_providers, lambda: self._active, self.registry.check_present)
        run_log = runs or open_run_log(store)
        self.archive = RunArchive(run_log, self.threads.confirm)
        self.readers = RunReaders(self.threads, self._active, self.archive)
        self.stops = RunStops(self.threads, self._active, self.archive)
        self.turns = TurnSaver(store, self.archive, self.threads.renew)
        self.next_runs = NextRuns(run_log)
        self.retention = RunRetention(run_log)
        left = LeftTurns(self.threads, self.registry, self.archive, self.turns)
        self.broken_runs = BrokenRuns(run_log, self.archive.owner, self._has, self._resume, left.keep, left.adopt)
        self.broken_runs.on_closed = self._report_closed
        self.archive.on_stop = self._active.report_stop
        self.threads.delete_with(self._delete_runs)
        self._starter = RunStarter(
            config,
            self.preparation,
            self.registry,
            self._provider_for,
            active=self._active,
            archive=self.archive,
            next_runs=self.next_runs,
            turns=self.turns,
            observers=self.observers,
        )

    def add_provider(self, provider: AgentProvider) -> None:
        """Register a provider. One that is added to a started runtime must have been started itself."""
        self.registry.add(provider)
        if isinstance(provider, ActionEndpoint):
            self._starter.action_endpoints.append(EndpointActions(provider.name, provider))
        self.adopt(provider)

    def adopt(self, provider: AgentProvider) -> None:
        """Let a provider keep states in this runtime's store, unless it has one of its own, and learn the settings."""
        provider.store = provider.store or self.store
        provider.client_config_keys = frozenset(self.config.client_config_keys)

    async def open(self) -> None:
        """Start the store, then the providers, and checks that no two agents share a name."""
        self.draining = self._refuses = self._closed = False
        await self._open_store()
        if self.execution is not None:
            await self.execution.open()
        for provider in self._all_providers():
            self.adopt(provider)
            await provider.start()
            self._started.append(provider)
        await self.registry.agents()
        await self.preparation.start()
        self._begin_sweeps()

    def go_on(self) -> None:
        """Go on on the running loop with what is done beside the runs, once another one has ended."""
        self._begin_sweeps()
        self.turns.go_on()
        self.archive.begin_again()
        if self.execution is not None:
            self.execution.go_on()

    def _begin_sweeps(self) -> None:
        self.next_runs.start()
        self.threads.start()
        self.broken_runs.start()
        self.retention.start()

    async def close(self) -> None:
        """End the runs that still go on, then stop the providers and the store."""
        self._closed = True
        await self.drain(0)
        await self.stops.end()
        await self.turns.stop()
        await self.threads.stop()
        await self.preparation.stop()
        for provider in reversed(self._started):
            await provider.stop()
        self._started.clear()
        if self.execution is not None:
            await self.execution.close()
        await self.archive.stop()
        await self.store.stop()

    @property
    def running(self) -> list[Run]:
        """The runs that go on."""
        return list(self._active)

    @property
    def active_runs(self) -> int:
        """How many runs go on."""
        return len(self._active)

    def be_about_to_end(self) -> None:
        """Begin nothing more of its own accord; requests that still come are served until ``drain``."""
        self.draining = True

    async def drain(self, grace_seconds: float) -> None:
        """Begin no more runs here, and end those that have not ended by themselves within ``grace_seconds``.

        Those that another process can go on with are handed over.
        """
        self.draining = self._refuses = True
        await self.next_runs.stop()
        await self.retention.stop()
        await self.broken_runs.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self.begun()
                await asyncio.gather(*(run.join() for run in self._active))
        await asyncio.gather(*(run.stop(self._end_of(run)) for run in self._active))

    def _end_of(self, run: Run) -> CopilotKitError:
        return RunHandedOverError() if self.archive.is_resumable(run) else ShuttingDownError()

    async def available_agents(self) -> list[AgentDescriptor]:
        """Return all agents of all providers."""
        return [agent for agent, _ in (await self.registry.agents()).values()]

    async def load_agent_state(
        self, *, thread_id: str, agent_name: str, identity: str | None = None
    ) -> AgentState | None:
        """Return what an agent last knew on a thread, or None.

        Args:
            thread_id: The thread.
            agent_name: The agent.
            identity: The caller; for them, a thread of somebody else's does not exist. None for the application itself.

        Raises:
            AgentNotFoundError: The agent does not exist.
            InputTooLargeError: The thread's id is too long.
        """
        limit_id("thread", thread_id)
        provider = await self.registry.owner_of(agent_name)
        with suppress(ThreadNotFoundError):
            return await self.threads.read(thread_id, identity, lambda id_: provider.load_state(id_, agent_name))
        return None

    async def save_agent_state(
        self, *, thread_id: str, agent_name: str, state: dict[str, Any], identity: str | None = None
    ) -> None:
        """Replace an agent's state on a thread; its messages stay.

        Args:
            thread_id: The thread.
            agent_name: The agent.
            state: The new state.
            identity: The caller, who owns the thread from now on if nobody did; None for the application itself.

        Raises:
            AgentNotFoundError: The agent does not exist.
            InputTooLargeError: The thread's id is too long.
            ThreadNotFoundError: The thread does not exist, or is somebody else's.
        """
        limit_id("thread", thread_id)
        provider = await self.registry.owner_of(agent_name)
        opened = await self.threads.open(thread_id, identity, agent_name)
        async with self.threads.kept(opened, identity):
            kept = await provider.load_state(opened.thread_id, agent_name) or AgentState()
            kept.state = state
            await provider.save_state(opened.thread_id, agent_name, kept)

    async def start(self, request: RunRequest) -> RunHandle:
        """Start a run, and follow it from its first event as the reader that paces it.

        Raises:
            AgentNotFoundError: The agent does not exist.
            NoModelError: No agent is named, and no model is set.
            ThreadNotFoundError: The thread does not exist, or is somebody else's.
            ShuttingDownError: The runtime is about to end.
            Exception: The hook before requests refuses.
        """
        report = self.preparation.report(request, silent=request.ephemeral)
        with self.stops.about_to_begin(request.input, request.context.identity) as beginning:
            try:
                handle = await self._begin(request, report)
            except Exception as error:
                report.failed(error)
                raise
        if beginning.stopped:
            self._active.report_stop(handle.run)
            await handle.cancel()
        return handle

    async def leave(self, handle: RunHandle, *, cancel: bool) -> None:
        """Let go of a run whose client has gone, or has read it to its end.

        A run that another process executes goes on when this one ends: its client has not gone.

        Args:
            handle: The client's hold on the run.
            cancel: Whether a run that still goes on is stopped.
        """
        handle.close()
        self._active.report_stop(handle.run)
        if cancel and not (self.draining and handle.is_elsewhere):
            await handle.run.cancel()

    async def _provider_for(self, agent_name: str | None) -> AgentProvider:
        if agent_name is not None:
            return await self.registry.owner_of(agent_name)
        if self.model is None:
            raise self.registry.absent(None) or NoModelError()
        return self.model

    async def _begin(self, request: RunRequest, report: RequestReport) -> RunHandle:
        self._check_takes_runs()
        limit_input(request.input, self._limits)
        provider = await self._provider_for(request.agent_name)
        report.provider = provider.name
        self._drop_what_is_not_the_client_s(request, provider)
        if request.ephemeral:
            return await self._begin_run(provider, request, report)
        opened = await self.threads.open(request.input.thread_id, request.context.identity, request.agent_name)
        handle = await self._begin_run(provider, _on_thread(request, opened.thread_id), report)
        try:
            if request.thread_name is not None:
                await self.threads.name_once(opened, request.thread_name)
        except BaseException:
            handle.close()
            raise
        return handle

    async def _begin_run(self, provider: AgentProvider, request: RunRequest, report: RequestReport) -> RunHandle:
        await report.before_request()
        agents = [] if request.ephemeral or self.execution is not None else await self._starter.agents_offered(request)
        self._check_takes_runs()
        if self.execution is not None:
            return await self._hand_over(self.execution, provider, request, report)
        return follow(self._starter.start(provider, request, report, agents))

    def _check_takes_runs(self) -> None:
        """Check that a run may begin: workers execute those of a process that drains, until it has closed.

        Raises:
            ShuttingDownError: None may.
        """
        if self._refuses and (self.execution is None or self._closed):
            raise ShuttingDownError

    def _drop_what_is_not_the_client_s(self, request: RunRequest, provider: AgentProvider) -> None:
        """Remove what the client may not claim, so that no agent, wherever it runs, relies on it."""
        rules = ClientConfigRules(
            opened=self.config.client_config_keys,
            declares=provider.declares_config,
            authenticated=request.context.identity is not None,
        )
        request.input.config = rules.config(request.input.config)
        request.context.properties = rules.properties(request.context.properties)

    async def _hand_over(
        self, execution: Execution, provider: AgentProvider, request: RunRequest, report: RequestReport
    ) -> RunHandle:
        """Have another process execute a run; one that guardrails refuse fails here."""
        try:
            judged = await self.preparation.judge(request)
        except CopilotKitError as error:
            return follow(self._starter.start(provider, request, report, (), Origin(refused=error)))
        called = self.preparation.calls_before
        order = Order(request=request, provider=provider, judged=judged, hook_called=called)
        request.input.unique_id = request.input.unique_id or fresh_hex()
        return await execution.start(order)

    def abandon(self, request: RunRequest) -> None:
        """Stop a run whose client left while it was handed over to another process."""
        if self.execution is not None:
            self.stops.abandon(request.input, request.context.identity)

    async def execute(self, record: RunRecord, envelope: Envelope, settled: Callable[[], None]) -> Run:
        """Execute a run that another process has handed over and this one has taken.

        Args:
            record: Its record.
            envelope: What it needs.
            settled: Called once a crash of the store's server cannot undo that this process took it.

        Raises:
            AgentNotFoundError: The agent does not exist here.
            NoModelError: No agent is named, and no model is set here.
        """
        return await self._starter.execute(record, envelope, settled)

    async def _resume(self, record: RunRecord, stored: Sequence[Event], last: int) -> Run | None:
        """Go on with a run of another process, which this one has claimed; return it if that can be done.

        Raises:
            ShuttingDownError: This process is about to end.
        """
        if self.execution is not None:
            return None
        if self.draining:
            raise ShuttingDownError
        return await self._starter.resume(record, stored, last)

    def _has(self, key: RunKey) -> bool:
        return self.archive.has(key) or self.turns.has(key)

    async def _report_closed(self, record: RunRecord, error: CopilotKitError) -> None:
        """Report to hooks how a run ended that this process has closed, since no other one can."""
        name = record.agent_name or None
        asked = RunInput(thread_id=record.thread_id, run_id=record.run_id)
        request = RunRequest(agent_name=name, input=asked, context=RunContext())
        report = self.preparation.report(request, began=record.started_at.timestamp())
        with suppress(AgentNotFoundError, NoModelError):
            report.provider = (await self._provider_for(name)).name
        report.failed(error)
        report.close()

    async def _delete_runs(self, thread_id: str) -> None:
        await self.archive.delete(thread_id)
        self.next_runs.note(thread_id)

    async def _open_store(self) -> None:
        try:
            await self.store.start()
            await self.archive.start()
        except CopilotKitError as error:
            # The address and the cause are for the log: an application that starts late sends its clients the error.
            place = self.store.url or type(self.store).__name__
            log.error("store_not_opened", store=place, reason=str(error.__cause__ or error))  # noqa: TRY400
            raise

    def _all_providers(self) -> list[AgentProvider]:
        return [*self.registry.all(), *([self.model] if self.model is not None else [])]


def _on_thread(request: RunRequest, spelling: str) -> RunRequest:
    """Return ``request`` with the spelling of its thread's id that everything is kept under."""
    asked = request.input
    if spelling == asked.thread_id:
        return request
    return msgspec.structs.replace(request, input=msgspec.structs.replace(asked, thread_id=spelling))


async def _nothing_begins() -> None:
    """Return at once: this process takes no runs of others."""
