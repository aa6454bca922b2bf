"""What a runtime can do beside asking its providers: actions, guardrails and hooks, and what they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .actions.catalogue import ActionCatalogue
from .actions.delegation import AgentAction
from .actions.execution import ActionRunner
from .actions.source import ActionSource
from .config import RuntimeConfig
from .guardrails.cloud import CloudGuardrail
from .guardrails.gate import GuardrailGate
from .guardrails.interface import Guardrail
from .hooks.calls import HookCalls
from .hooks.interface import Hooks
from .hooks.reports import RequestReport
from .preparation import RunPreparer
from .request import RunRequest
from .runs.run import Run
from .runs.stages import StageFactory
from .stores.interface import StateStore
from .thread_pool import Workers


class Features:
    """Actions, guardrails and hooks of one runtime.

    Args:
        config: The settings.
        store: Says whose turn it is on a thread.
        sources: Where server-side actions come from.
        last_sources: The same, behind the actions of the providers.
        guardrails: Who judges each request, in order.
        hooks: What is told of requests.
        agents_as_actions: The agents that others, and models, may call as tools; True for all.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        store: StateStore,
        *,
        sources: Iterable[ActionSource] = (),
        last_sources: Iterable[ActionSource] = (),
        guardrails: Sequence[Guardrail] = (),
        hooks: Hooks | None = None,
        agents_as_actions: bool | Iterable[str] = False,
    ) -> None:
        self._config = config
        self._hooks = hooks or Hooks()
        self._agents = agents_as_actions if isinstance(agents_as_actions, bool) else frozenset(agents_as_actions)
        self._workers = Workers()
        self._calls = HookCalls(self._workers, self._hooks.timeout)
        self._catalogue = ActionCatalogue(config.action_source_timeout_seconds, sources, last_sources)
        self._cloud = None if config.cloud_base_url == "off" else CloudGuardrail(config.cloud_base_url)
        self._gate = GuardrailGate(guardrails, config.guardrails_on_failure, config.guardrails_timeout_seconds)
        self._runner = ActionRunner(self._workers, tell_exceptions=config.action_errors == "shown")
        self._preparer = RunPreparer(
            config,
            store,
            self._catalogue,
            self._runner,
            self._gate,
            self._cloud,
        )

    async def start(self) -> None:
        """Starts the guardrails and the sources of actions."""
        for guardrail in self._gate.guardrails:
            await guardrail.start()
        await self._catalogue.start()

    async def stop(self) -> None:
        """Stops them, once the hooks that still run have ended."""
        await self._calls.stop()
        await self._runner.stop()
        await self._catalogue.stop()
        for guardrail in (*self._gate.guardrails, *([self._cloud] if self._cloud is not None else [])):
            await guardrail.stop()
        await self._workers.stop()

    def report(self, request: RunRequest) -> RequestReport:
        """What tells the hooks of ``request``."""
        return RequestReport(self._hooks, self._calls, request, environment=self._config.env)

    def unreported(self, request: RunRequest) -> RequestReport:
        """The same for a run within a run, of which no hook is told."""
        return RequestReport(Hooks(), self._calls, request, environment=self._config.env)

    @property
    def offers_agents(self) -> bool:
        """Whether any agent may be called as a tool."""
        return bool(self._agents)

    def offers(self, agent_name: str) -> bool:
        """Whether an agent may be called as a tool."""
        return self._agents if isinstance(self._agents, bool) else agent_name in self._agents

    async def prepare(
        self,
        request: RunRequest,
        report: RequestReport,
        run: Run,
        *,
        endpoints: Iterable[ActionSource],
        agents: Sequence[AgentAction] | None,
    ) -> list[StageFactory]:
        """As ``RunPreparer.prepare``."""
        return await self._preparer.prepare(request, report, run, endpoints=endpoints, agents=agents)
