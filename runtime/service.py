"""The service layer that every wire calls: agents, their states, and runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from functools import partial
from sys import maxsize
from typing import Any

import msgspec
import structlog

from .actions.delegation import AgentAction
from .actions.source import ActionEndpoint, ActionSource, EndpointActions
from .client_config import ClientConfigRules
from .config import RuntimeConfig
from .context import RunInput
from .deadlines import Deadlines
from .errors import (
    CopilotKitError,
    NoModelError,
    RunHandedOverError,
    ShuttingDownError,
    StoreError,
    ThreadNotFoundError,
)
from .events import Event
from .execution.envelope import Envelope, unseal
from .execution.execution import Execution, Order
from .fresh_ids import fresh_hex, fresh_uuid
from .hooks.reports import RequestReport
from .input_limits import InputLimits, check_input
from .messages import now
from .preparation import Preparation
from .provider import AgentDescriptor, AgentProvider
from .registry import ProviderRegistry
from .request import RunRequest
from .runs.about import ENVELOPE, REQUEST
from .runs.archive import RunArchive
from .runs.beginnings import Asked, Beginning, Beginnings
from .runs.broken_runs import BrokenRuns
from .runs.continuation import Continuation
from .runs.handle import RunHandle
from .runs.kept_request import keep_request, kept_request
from .runs.next_runs import NextRuns
from .runs.observer import Observers
from .runs.origin import HERE, Origin
from .runs.remote import RemoteRun
from .runs.repetition import RepetitionStage
from .runs.retention import RunRetention
from .runs.run import PreparedRun, Run, RunStatus
from .runs.settling import prepare_and_settle
from .runs.turn_saver import TurnSaver
from .stores.interface import AgentState, StateStore
from .stores.run_log import RunLogStore
from .stores.run_records import RunRecord
from .stores.urls import open_run_log
from .threads import Threads

STOP_AHEAD_SECONDS = 0.25
"""How long a stop waits for the run that it means: both requests may come at once, in any order."""
JUST_ENDED = timedelta(seconds=5)

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
        self._limits = InputLimits(
            messages=config.max_messages,
            message_bytes=config.max_message_bytes,
            state_bytes=config.max_state_bytes,
        )
        self._runs: set[Run] = set()
        self._deadlines = Deadlines(config.run_timeout_seconds)
        self._action_endpoints: list[ActionSource] = []
        self._reports: dict[Run, RequestReport] = {}
        self._by_thread: dict[str, list[Run]] = {}
        """The runs that go on, without those within other runs."""
        self._started: list[AgentProvider] = []
        self.execution: Execution | None = None
        """Who executes runs; None for this process."""
        self.threads = Threads(store, self._all_providers, lambda: self._runs)
        self.turns = TurnSaver(store, self.threads.renew)
        run_log = runs or open_run_log(store)
        self._beginnings = Beginnings()
        self.archive = RunArchive(run_log)
        self.next_runs = NextRuns(run_log)
        self.retention = RunRetention(run_log)
        self.broken_runs = BrokenRuns(run_log, self.archive.owner, self._resume)
        self.archive.on_stop = self._report_stop
        self.threads.delete_with(self._delete_runs)

    def add_provider(self, provider: AgentProvider) -> None:
        """Register a provider. One that is added to a started runtime must have been started itself."""
        self.registry.add(provider)
        if isinstance(provider, ActionEndpoint):
            self._action_endpoints.append(EndpointActions(provider.name, provider))
        self.adopt(provider)

    def adopt(self, provider: AgentProvider) -> None:
        """Let a provider keep states in this runtime's store, unless it has one of its own, and learn the settings."""
        provider.store = provider.store or self.store
        provider.client_config_keys = frozenset(self.config.client_config_keys)

    async def open(self) -> None:
        """Start the store, then the providers, and checks that no two agents share a name."""
        self.draining = False
        await self._open_store()
        await self.archive.start()
        self.next_runs.start()
        if self.execution is not None:
            await self.execution.open()
        for provider in self._all_providers():
            self.adopt(provider)
            await provider.start()
            self._started.append(provider)
        await self.registry.agents()
        await self.preparation.start()
        await self.threads.start()
        self.broken_runs.start()
        self.retention.start()

    async def close(self) -> None:
        """End the runs that still go on, then stops the providers and the store."""
        await self.drain(0)
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
    def active_runs(self) -> int:
        """How many runs go on."""
        return len(self._runs)

    async def drain(self, grace_seconds: float) -> None:
        """Refuse new runs, and end those that have not ended by themselves within ``grace_seconds``.

        Those that another process can go on with are handed over.
        """
        self.draining = True
        await self.next_runs.stop()
        await self.retention.stop()
        await self.broken_runs.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await asyncio.gather(*(run.join() for run in self._runs))
        await asyncio.gather(*(run.stop(self._end_of(run)) for run in self._runs))

    def _end_of(self, run: Run) -> CopilotKitError:
        return RunHandedOverError() if self.archive.is_resumable(run) else ShuttingDownError()

    async def available_agents(self) -> list[AgentDescriptor]:
        """All agents of all providers."""
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
            AgentNotFoundError: There is no such agent.
        """
        provider = await self.registry.owner_of(agent_name)
        try:
            spelling = await self.threads.find(thread_id, identity)
        except ThreadNotFoundError:
            return None
        return await provider.load_state(spelling, agent_name)

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
            AgentNotFoundError: There is no such agent.
            ThreadNotFoundError: There is no such thread, or it is somebody else's.
        """
        provider = await self.registry.owner_of(agent_name)
        spelling = await self.threads.open(thread_id, identity, agent_name)
        known = await provider.load_state(spelling, agent_name) or AgentState()
        known.state = state
        await provider.save_state(spelling, agent_name, known)

    async def start(self, request: RunRequest) -> RunHandle:
        """Start a run, and follow it from its first event as the reader that paces it.

        Raises:
            AgentNotFoundError: There is no such agent.
            NoModelError: No agent is named and there is no model.
            ThreadNotFoundError: There is no such thread, or it is somebody else's.
            ShuttingDownError: The runtime is about to end.
            Exception: The hook before requests refuses.
        """
        report = self.preparation.report(request, silent=request.ephemeral)
        with self.about_to_begin(request.input, request.context.identity) as beginning:
            try:
                handle = await self._begin(request, report)
            except Exception as error:
                report.failed(error)
                raise
        if beginning.stopped:
            self._report_stop(handle.run)
            await handle.cancel()
        return handle

    def about_to_begin(self, run: RunInput, identity: str | None) -> AbstractContextManager[Beginning]:
        """Note that a run is about to begin: while the block goes on, a stop is not lost."""
        return self._beginnings.note(Asked(run.thread_id, run.run_id, identity))

    async def attach(
        self, thread_id: str, *, identity: str | None = None, after: int = 0, paces: bool = True
    ) -> RunHandle | None:
        """Follow the run that goes on in a thread, in this process or another: the newest, if there are several.

        Args:
            thread_id: The thread.
            identity: The caller; None for the application itself.
            after: The number of the last event that the reader has.
            paces: Whether the reader may slow the run down.

        Returns:
            None if no run goes on there.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is somebody else's.
            Lagged: What follows ``after`` is only kept compacted.
        """
        spelling = await self.threads.find(thread_id, identity)
        runs = self._by_thread.get(spelling)
        if runs:
            return _follow(runs[-1], after, paces=paces)
        elsewhere = await self.archive.find(spelling)
        return RunHandle(elsewhere, elsewhere.subscribe(after)) if elsewhere is not None else None

    async def attach_all(self, thread_id: str, *, identity: str | None = None) -> list[RunHandle]:
        """Follow all runs that go on in a thread, in this process and others, without slowing them down.

        Args:
            thread_id: The thread.
            identity: The caller; None for the application itself.

        Returns:
            The runs, oldest first: all but the first wait for those before them, or are of other agents.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is somebody else's.
        """
        spelling = await self.threads.find(thread_id, identity)
        stored = await self.archive.find_all(spelling)
        here = [
            RunHandle(run, run.log.subscribe(attached=False), self.archive.place_of(run))
            for run in self._by_thread.get(spelling, ())
        ]
        others = [RunHandle(run, run.subscribe()) for run in stored if not any(_is_same(run, one) for one in here)]
        return sorted([*here, *others], key=lambda handle: handle.number or maxsize)

    async def follow(self, thread_id: str, *, identity: str | None = None, after: int = 0) -> RunHandle | None:
        """Follow the run that goes on in a thread, or else read its last run again.

        Args:
            thread_id: The thread.
            identity: The caller; None for the application itself.
            after: The number of the last event that the reader has.

        Returns:
            None if no run of the thread is kept.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is somebody else's.
            Lagged: What follows ``after`` is only kept compacted.
        """
        handle = await self.attach(thread_id, identity=identity, after=after, paces=False)
        if handle is not None:
            return handle
        last = await self.archive.last(await self.threads.find(thread_id, identity))
        return RunHandle(last, last.subscribe(after)) if last is not None else None

    async def stop(self, thread_id: str, *, run_id: str | None = None, identity: str | None = None) -> bool:
        """Stop the runs that go on in a thread, and wait until they have ended.

        Args:
            thread_id: The thread.
            run_id: Only the runs of that id; None for all.
            identity: The caller; None for the application itself.

        Returns:
            Whether there was one.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is somebody else's.
        """
        stopped = self._beginnings.stop(Asked(thread_id, run_id, identity))
        try:
            spelling = await self.threads.find(thread_id, identity)
        except ThreadNotFoundError:
            if stopped:
                return True
            raise
        runs = [run for run in self._by_thread.get(spelling, ()) if run_id in (None, run.input.run_id)]
        for run in runs:
            self._report_stop(run)
        await asyncio.gather(*(run.cancel() for run in runs))
        return await self._stop_elsewhere(spelling, run_id, stopped=stopped or bool(runs))

    async def stop_ahead(self, thread_id: str, *, run_id: str | None = None, identity: str | None = None) -> bool:
        """Stop the run of a client that is about to come: the request for its stop may be faster than its own.

        A stop that names no run means one that has just ended, if there is one, and no run that follows it.

        Args:
            thread_id: The thread.
            run_id: Only a run of that id; None for any.
            identity: The caller; None for the application itself.

        Returns:
            Whether a run came.
        """
        with suppress(ThreadNotFoundError):
            spelling = await self.threads.find(thread_id, identity)
            last = await self.archive.store.latest(spelling)
            if spelling in self._by_thread or (last is not None and run_id is None and _has_just_ended(last)):
                return False
        return await self._beginnings.stop_next(Asked(thread_id, run_id, identity), STOP_AHEAD_SECONDS)

    async def _stop_elsewhere(self, thread_id: str, run_id: str | None, *, stopped: bool) -> bool:
        """Stop the thread's runs in other processes; return whether any run was stopped, here or there."""
        try:
            return await self.archive.stop_elsewhere(thread_id, run_id, wait=not stopped) or stopped
        except StoreError:
            if not stopped:
                raise
            log.exception("stop_reached_no_other_process", thread_id=thread_id)
            return True

    async def leave(self, handle: RunHandle, *, cancel: bool) -> None:
        """Let go of a run whose client has gone, or has read it to its end.

        Args:
            handle: The client's hold on the run.
            cancel: Whether a run that still goes on is stopped.
        """
        handle.close()
        self._report_stop(handle.run)
        if cancel:
            await handle.run.cancel()

    def _report_stop(self, run: Run | RemoteRun) -> None:
        report = self._reports.get(run) if isinstance(run, Run) else None
        if report is not None and run.status is RunStatus.RUNNING:
            report.stopped()

    async def _provider_for(self, agent_name: str | None) -> AgentProvider:
        if agent_name is not None:
            return await self.registry.owner_of(agent_name)
        if self.model is None:
            raise NoModelError
        return self.model

    async def _begin(self, request: RunRequest, report: RequestReport) -> RunHandle:
        if self.draining:
            raise ShuttingDownError
        check_input(request.input, self._limits)
        provider = await self._provider_for(request.agent_name)
        report.provider = provider.name
        self._drop_what_is_not_the_client_s(request, provider)
        if not request.ephemeral:
            request = await self._on_thread(request)
        await report.before_request()
        agents = [] if request.ephemeral or self.execution is not None else await self._agents_offered(request)
        if self.draining:
            raise ShuttingDownError
        if self.execution is not None:
            return await self._hand_over(self.execution, provider, request, report)
        return _follow(self._start_run(provider, request, report, agents))

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
            return _follow(self._start_run(provider, request, report, (), Origin(refused=error)))
        called = self.preparation.calls_before
        order = Order(request=request, provider=provider, judged=judged, hook_called=called)
        request.input.unique_id = request.input.unique_id or fresh_hex()
        return await execution.start(order)

    async def execute(self, record: RunRecord, envelope: Envelope) -> Run:
        """Execute a run that another process has handed over and this one has taken.

        Raises:
            AgentNotFoundError: There is no such agent here.
            NoModelError: No agent is named and there is no model here.
        """
        request = envelope.request
        provider = await self._provider_for(request.agent_name)
        report = self.preparation.report(request, silent=request.ephemeral)
        report.provider = provider.name
        refused: Exception | None = None
        try:
            if not envelope.hook_called:
                await report.before_request()
        except Exception as error:  # noqa: BLE001 - the hook's own answer ends the run
            refused = error
        agents = [] if request.ephemeral else await self._agents_offered(request)
        origin = Origin(record=record, refused=refused, judged=envelope.judged)
        return self._start_run(provider, request, report, agents, origin)

    async def _on_thread(self, request: RunRequest) -> RunRequest:
        """Return ``request`` with the spelling of its thread's id that everything is kept under."""
        asked, identity = request.input, request.context.identity
        spelling = await self.threads.open(asked.thread_id, identity, request.agent_name)
        if spelling == asked.thread_id:
            return request
        return msgspec.structs.replace(request, input=msgspec.structs.replace(asked, thread_id=spelling))

    def _start_run(
        self,
        provider: AgentProvider,
        request: RunRequest,
        report: RequestReport,
        agents: Sequence[AgentAction] | None,
        origin: Origin = HERE,
    ) -> Run:
        past = origin.past
        lasts = agents is not None and not request.ephemeral
        request.input.unique_id = request.input.unique_id or fresh_hex()

        async def prepare() -> PreparedRun:
            if origin.refused is not None:
                raise origin.refused
            prepared = await self.preparation.prepare(
                request,
                report,
                partial(self.archive.fail, run),
                endpoints=self._action_endpoints,
                agents=agents,
                earlier=partial(self.archive.earlier, run) if lasts and self._resumes else None,
                judged=origin.judged,
            )
            prepared.stages = [*prepared.stages, *self.observers.stages(run)]
            if past is not None:
                prepared.stages = [*prepared.stages, partial(RepetitionStage, past=past)]
            return prepared

        run = Run(
            provider,
            request.agent_name or "",
            request.input,
            request.context,
            timeout=self.config.run_timeout_seconds,
            deadlines=self._deadlines,
            on_end=self._ended,
            observer=self.observers,
            prepare=prepare if origin.record is None else partial(prepare_and_settle, prepare, self.archive.settle),
            ephemeral=request.ephemeral,
            past=past,
            shows_errors=self.config.shows_errors,
        )
        self._runs.add(run)
        self._reports[run] = report
        if lasts:
            self._by_thread.setdefault(run.input.thread_id, []).append(run)
            self.next_runs.note(run.input.thread_id)
        if origin.record is not None:
            resumable = lasts and self._is_resumable(request, provider)
            self.archive.go_on(run, origin.record, past or Continuation((), 0), resumable=resumable)
        elif lasts:
            self.archive.begin(run, self._kept(request, provider))
        run.start()
        return run

    @property
    def _resumes(self) -> bool:
        return self.config.on_crash == "resume"

    def _kept(self, request: RunRequest, provider: AgentProvider) -> dict[str, Any] | None:
        """Return what another process needs to go on with a run, if it may and can."""
        return keep_request(request, self.config.store_max_bytes) if self._is_resumable(request, provider) else None

    def _is_resumable(self, request: RunRequest, provider: AgentProvider) -> bool:
        return self._resumes and request.agent_name is not None and provider.can_resume(request.agent_name)

    async def _resume(self, record: RunRecord, stored: Sequence[Event], last: int) -> Run | None:
        """Go on with a run of another process, which this one has claimed; return it if that can be done."""
        handed_over = ENVELOPE in record.about
        request = unseal(record.about).request if handed_over else kept_request(record.about.get(REQUEST))
        if self.execution is not None or request is None or not self._resumes or self.draining:
            return None
        provider = await self.registry.owner_of(record.agent_name)
        if not provider.can_resume(record.agent_name):
            return None
        kept = await provider.load_state(record.thread_id, record.agent_name)
        past = Continuation(stored, last, kept.messages if kept is not None else ())
        report = self.preparation.report(request)
        report.provider = provider.name
        agents = await self._agents_offered(request)
        log.warning("run_taken_over", thread_id=record.thread_id, run_id=record.run_id, events=last)
        return self._start_run(provider, request, report, agents, Origin(record=record, past=past))

    async def _agents_offered(self, request: RunRequest) -> list[AgentAction]:
        if not self.preparation.offers_agents:
            return []

        async def start(agent_name: str) -> RunHandle:
            return _follow(await self._delegate(request, agent_name))

        others = (agent for agent in await self.available_agents() if agent.name != request.agent_name)
        return [AgentAction(agent, start) for agent in others if self.preparation.offers(agent.name)]

    async def _delegate(self, request: RunRequest, agent_name: str) -> Run:
        """Start an agent's run within the run of ``request``, on the same thread. It may not delegate further."""
        asked, provider = request.input, await self._provider_for(agent_name)
        known = await provider.load_state(asked.thread_id, agent_name) or AgentState()
        given = RunInput(
            thread_id=asked.thread_id,
            run_id=fresh_uuid(),
            messages=list(asked.messages),
            state=known.state,
            context=asked.context,
            forwarded=asked.forwarded,
            request_type=asked.request_type,
        )
        inner = msgspec.structs.replace(request, agent_name=agent_name, input=given, cloud=None)
        return self._start_run(provider, inner, self.preparation.report(inner, silent=True), None)

    async def _ended(self, run: Run) -> None:
        self._runs.discard(run)
        self._forget(run)
        if run.agent_name and run.provider_asked and not isinstance(run.error, RunHandedOverError):
            await self._save(run)
        handed_over = isinstance(run.error, RunHandedOverError)
        if self.archive.was_handed_over(run):
            # Its client is in another process, and sends the next message as soon as the end is stored.
            await run.leave_thread()
        if run.ending is not None:
            await self.archive.finish(run, run.ending)
            self.next_runs.note(run.input.thread_id)
        report = self._reports.pop(run, None)
        if report is not None and not handed_over:
            report.ended(run)

    async def _save(self, run: Run) -> None:
        try:
            await self.turns.save(run)
        except Exception as error:
            if self.archive.is_to_go_on(run, error):
                self.turns.drop(run)
                run.not_stored(RunHandedOverError())
                return
            log.exception("state_not_saved", thread_id=run.input.thread_id, agent=run.agent_name)
            if not run.provider.keeps_state:
                run.not_stored(error)

    def _forget(self, run: Run) -> None:
        runs = self._by_thread.get(run.input.thread_id, [])
        if run in runs:
            runs.remove(run)
        if not runs:
            self._by_thread.pop(run.input.thread_id, None)

    async def _delete_runs(self, thread_id: str) -> None:
        await self.archive.delete(thread_id)
        self.next_runs.note(thread_id)

    async def _open_store(self) -> None:
        try:
            await self.store.start()
        except CopilotKitError as error:
            # The address and the cause are for the log: an application that starts late sends its clients the error.
            place = self.store.url or type(self.store).__name__
            log.error("store_not_opened", store=place, reason=str(error.__cause__ or error))  # noqa: TRY400
            raise

    def _all_providers(self) -> list[AgentProvider]:
        return [*self.registry.all(), *([self.model] if self.model is not None else [])]


def _has_just_ended(last: RunRecord) -> bool:
    return now() - last.updated_at < JUST_ENDED


def _is_same(stored: RemoteRun, here: RunHandle) -> bool:
    """Whether a run of the store is one of this process, which may be about to learn its number."""
    if here.number is not None:
        return stored.record.number == here.number
    return (stored.record.run_id, stored.agent_name) == (here.run_id, here.agent_name)


def _follow(run: Run, after: int = 0, *, paces: bool = True) -> RunHandle:
    return RunHandle(run, run.log.subscribe(after, attached=paces))
