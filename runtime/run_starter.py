"""Starts runs: for clients, for other processes, and for runs that call an agent as a tool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog

from .actions.delegation import AgentAction
from .actions.source import ActionSource
from .active_runs import ActiveRuns
from .config import RuntimeConfig
from .context import RunInput
from .deadlines import Deadlines
from .errors import RunHandedOverError
from .events import Event
from .execution.envelope import Envelope, unseal
from .fresh_ids import fresh_hex, fresh_uuid
from .hooks.reports import RequestReport
from .preparation import Preparation
from .provider import AgentProvider
from .registry import ProviderRegistry
from .request import RunRequest
from .runs.about import ENVELOPE, REQUEST
from .runs.archive import RunArchive
from .runs.continuation import Continuation
from .runs.handle import RunHandle
from .runs.kept_request import keep_request, kept_request
from .runs.next_runs import NextRuns
from .runs.observer import Observers
from .runs.origin import HERE, Origin
from .runs.repetition import RepetitionStage
from .runs.run import PreparedRun, Run
from .runs.settling import prepare_and_settle
from .runs.turn_saver import TurnSaver
from .stores.interface import AgentState
from .stores.run_records import RunRecord

log = structlog.get_logger(__name__)


class RunStarter:
    """Starts runs, and stores what they leave when they end.

    Args:
        config: The settings.
        preparation: Actions, guardrails and hooks.
        registry: The providers of agents.
        provider_for: Returns the provider of an agent, or the model's for None.
        active: Where runs are while they go on.
        archive: Keeps the events of runs.
        next_runs: Notified of runs that begin and end.
        turns: Stores the messages and states of runs that have ended.
        observers: Watch every run.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        preparation: Preparation,
        registry: ProviderRegistry,
        provider_for: Callable[[str | None], Awaitable[AgentProvider]],
        *,
        active: ActiveRuns,
        archive: RunArchive,
        next_runs: NextRuns,
        turns: TurnSaver,
        observers: Observers,
    ) -> None:
        self.action_endpoints: list[ActionSource] = []
        """Providers that bring actions, too."""
        self._config = config
        self._preparation = preparation
        self._registry = registry
        self._provider_for = provider_for
        self._active = active
        self._archive = archive
        self._next_runs = next_runs
        self._deadlines = Deadlines(config.run_timeout_seconds)
        self._turns = turns
        self._observers = observers

    def start(
        self,
        provider: AgentProvider,
        request: RunRequest,
        report: RequestReport,
        agents: Sequence[AgentAction] | None,
        origin: Origin = HERE,
    ) -> Run:
        """Start a run.

        Args:
            provider: The agent's or the model's provider.
            request: What the run is to do.
            report: Its report to hooks.
            agents: The agents that it may call as tools; None for a run within another one.
            origin: Where it comes from, if not from a client of this process.
        """
        past = origin.past
        lasts = agents is not None and not request.ephemeral
        completes = lasts and request.sends_part and past is None
        request.input.unique_id = request.input.unique_id or fresh_hex()

        async def prepare() -> PreparedRun:
            if origin.refused is not None:
                raise origin.refused
            prepared = await self._preparation.prepare(
                request,
                report,
                partial(self._archive.fail, run),
                endpoints=self.action_endpoints,
                agents=agents,
                kept=partial(provider.load_state, request.input.thread_id, run.agent_name) if completes else None,
                earlier=partial(self._archive.earlier, run) if lasts and self._resumes else None,
                confirm=partial(self._archive.check_caller, run) if lasts else None,
                judged=origin.judged,
            )
            prepared.stages = [*prepared.stages, *self._observers.stages(run)]
            if past is not None:
                prepared.stages = [*prepared.stages, partial(RepetitionStage, past=past)]
            return prepared

        record = origin.record
        run = Run(
            provider,
            request.agent_name or "",
            request.input,
            request.context,
            timeout=self._config.run_timeout_seconds,
            deadlines=self._deadlines,
            on_end=self._ended,
            observer=self._observers,
            prepare=prepare if record is None else partial(self._prepare_taken, prepare, record, origin.settled),
            ephemeral=request.ephemeral,
            past=past,
            shows_errors=self._config.shows_errors,
        )
        self._active.add(run, report, on_thread=lasts)
        if lasts:
            self._next_runs.note(run.input.thread_id)
        if origin.record is not None:
            resumable = lasts and self._is_resumable(request, provider)
            self._archive.go_on(run, origin.record, past or Continuation((), 0), resumable=resumable)
        elif lasts:
            self._archive.begin(run, self._kept(request, provider))
        run.start()
        return run

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
        request = envelope.request
        provider = await self._provider_for(request.agent_name)
        report = self._preparation.report(request, silent=request.ephemeral)
        report.provider = provider.name
        refused: Exception | None = None
        try:
            if not envelope.hook_called:
                await report.before_request()
        except Exception as error:  # noqa: BLE001 - the hook's own answer ends the run
            refused = error
        agents = [] if request.ephemeral else await self.agents_offered(request)
        origin = Origin(record=record, refused=refused, judged=envelope.judged, settled=settled)
        return self.start(provider, request, report, agents, origin)

    async def resume(self, record: RunRecord, stored: Sequence[Event], last: int) -> Run | None:
        """Go on with a run of another process, which this one has claimed; return it if that can be done."""
        handed_over = ENVELOPE in record.about
        request = unseal(record.about).request if handed_over else kept_request(record.about.get(REQUEST))
        if request is None or not self._resumes:
            return None
        provider = await self._registry.owner_of(record.agent_name)
        if not provider.can_resume(record.agent_name):
            return None
        kept = await provider.load_state(record.thread_id, record.agent_name)
        past = Continuation(stored, last, kept.messages if kept is not None else ())
        report = self._preparation.report(request)
        report.provider = provider.name
        agents = await self.agents_offered(request)
        log.warning("run_taken_over", thread_id=record.thread_id, run_id=record.run_id, events=last)
        return self.start(provider, request, report, agents, Origin(record=record, past=past))

    async def agents_offered(self, request: RunRequest) -> list[AgentAction]:
        """Return the other agents, as tools, where the configuration offers them."""
        if not self._preparation.offers_agents:
            return []

        async def start(agent_name: str) -> RunHandle:
            return follow(await self._delegate(request, agent_name))

        agents = [agent for agent, _ in (await self._registry.agents()).values()]
        others = (agent for agent in agents if agent.name != request.agent_name)
        return [AgentAction(agent, start) for agent in others if self._preparation.offers(agent.name)]

    @property
    def _resumes(self) -> bool:
        return self._config.on_crash == "resume"

    def _kept(self, request: RunRequest, provider: AgentProvider) -> dict[str, Any] | None:
        """Return what another process needs to go on with a run, if it may and can."""
        return keep_request(request, self._config.store_max_bytes) if self._is_resumable(request, provider) else None

    def _is_resumable(self, request: RunRequest, provider: AgentProvider) -> bool:
        return self._resumes and request.agent_name is not None and provider.can_resume(request.agent_name)

    async def _delegate(self, request: RunRequest, agent_name: str) -> Run:
        """Start an agent's run within the run of ``request``, on the same thread. It may not delegate further."""
        outer, provider = request.input, await self._provider_for(agent_name)
        kept = await provider.load_state(outer.thread_id, agent_name) or AgentState()
        given = RunInput(
            thread_id=outer.thread_id,
            run_id=fresh_uuid(),
            messages=list(outer.messages),
            state=kept.state,
            context=outer.context,
            forwarded=outer.forwarded,
            request_type=outer.request_type,
        )
        inner = msgspec.structs.replace(request, agent_name=agent_name, input=given, cloud=None)
        return self.start(provider, inner, self._preparation.report(inner, silent=True), None)

    async def _prepare_taken(
        self, prepare: Callable[[], Any], record: RunRecord, settled: Callable[[], None]
    ) -> PreparedRun:
        async def settle() -> None:
            await self._archive.settle_taken(record)
            settled()

        return await prepare_and_settle(prepare, settle)

    async def _ended(self, run: Run) -> None:
        self._active.remove(run)
        if run.agent_name and run.provider_asked and not isinstance(run.error, RunHandedOverError):
            await self._save(run)
        handed_over = isinstance(run.error, RunHandedOverError)
        if self._archive.was_handed_over(run):
            # Its client is in another process, and sends the next message as soon as the end is stored.
            await run.leave_thread()
        if run.ending is not None:
            await self._archive.finish(run, self._turns)
            self._next_runs.note(run.input.thread_id)
        report = self._active.take_report(run)
        if report is not None and handed_over:
            report.close()  # the process that goes on with the run reports its end
        elif report is not None:
            report.ended(run)

    async def _save(self, run: Run) -> None:
        try:
            await self._turns.save(run)
        except Exception as error:
            if self._archive.is_to_go_on(run, error):
                self._turns.drop(run)
                run.not_stored(RunHandedOverError())
                return
            log.exception("state_not_saved", thread_id=run.input.thread_id, agent=run.agent_name)
            if not run.provider.keeps_state:
                run.not_stored(error)


def follow(run: Run, after: int = 0, *, paces: bool = True) -> RunHandle:
    """Return a reader of a run's events behind ``after``; ``paces``: whether it may slow the run down."""
    return RunHandle(run, run.log.subscribe(after, attached=paces))
