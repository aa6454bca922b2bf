"""What happens between a request's arrival and the first word with its provider.

Actions, guardrails and hooks of one runtime live here; each run takes from them what it needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import msgspec

from .actions.action import Action
from .actions.catalogue import ActionCatalogue, Offer
from .actions.delegation import AgentAction
from .actions.execution import ActionRunner
from .actions.source import ActionSource
from .actions.stage import ActionStage
from .config import RuntimeConfig
from .context import RunInput, Tool
from .errors import ThreadBusyError
from .generated_ui.interfaces import MODEL, GeneratedInterfaces
from .guardrails.cloud import CloudGuardrail
from .guardrails.gate import GuardrailGate, input_check
from .guardrails.interface import Guardrail
from .guardrails.stage import OutputGuardStage
from .hooks.calls import HookCalls
from .hooks.interface import Hooks
from .hooks.reports import RequestReport
from .input_limits import newest
from .messages import Message, TextMessage
from .request import RunRequest
from .runs.remote import RemoteRun
from .runs.run import PreparedRun
from .runs.sent_messages import join_history
from .runs.stages import StageFactory
from .runs.thread_lock import Fail, ThreadLock
from .stores.interface import AgentState, StateStore
from .thread_pool import Workers

Earlier: TypeAlias = Callable[[], Awaitable[RemoteRun | None]]
"""Finds a run that began earlier on the same thread and has to end first, though it may not have the lock."""
Kept: TypeAlias = Callable[[], Awaitable[AgentState | None]]
"""Reads what is kept of a thread."""
Confirm: TypeAlias = Callable[[], Awaitable[None]]
"""Checks whose a thread is."""

_NO_GATE = GuardrailGate((), "open", 0)


_NO_TOOLS: frozenset[str] = frozenset()


class Preparation:
    """Makes runs ready: waits for their threads, consults the guardrails, and gathers the tools.

    Args:
        config: The settings.
        store: Gives runs the right to their threads.
        sources: Where server-side actions come from.
        last_sources: The same, behind the actions of the providers.
        guardrails: Judge each request, in order.
        hooks: Called at the turning points of requests.
        agents_as_actions: The agents that others, and models, may call as tools; True for all.
        interfaces: What agents may draw; None for nothing.
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
        interfaces: GeneratedInterfaces | None = None,
    ) -> None:
        self.interfaces = interfaces or GeneratedInterfaces()
        self._config = config
        self._store = store
        self._hooks = hooks or Hooks()
        self._agents = agents_as_actions if isinstance(agents_as_actions, bool) else frozenset(agents_as_actions)
        self._workers = Workers()
        self._calls = HookCalls(self._workers, self._hooks.timeout)
        self._catalogue = ActionCatalogue(config.action_source_timeout_seconds, sources, last_sources)
        self._cloud = None if config.cloud_base_url == "off" else CloudGuardrail(config.cloud_base_url)
        self._gate = GuardrailGate(guardrails, config.guardrails_on_failure, config.guardrails_timeout_seconds)
        self._waiting: Counter[tuple[str, str | None]] = Counter()
        self._runner = ActionRunner(self._workers, show_exceptions=config.action_errors == "shown")

    async def start(self) -> None:
        """Start the guardrails and the sources of actions."""
        for guardrail in self._gate.guardrails:
            await guardrail.start()
        await self._catalogue.start()

    async def stop(self) -> None:
        """Stop them, once the hooks that still run have ended."""
        await self._calls.stop()
        await self._runner.stop()
        await self._catalogue.stop()
        for guardrail in (*self._gate.guardrails, *([self._cloud] if self._cloud is not None else [])):
            await guardrail.stop()
        await self._workers.stop()

    def report(self, request: RunRequest, *, silent: bool = False, began: float | None = None) -> RequestReport:
        """Return what calls the hooks for a request.

        Args:
            request: The request.
            silent: Whether it is for a run within a run, which has no hooks.
            began: When it came, as a time stamp; None for now.
        """
        hooks = Hooks() if silent else self._hooks
        return RequestReport(hooks, self._calls, request, environment=self._config.env, began=began)

    @property
    def offers_agents(self) -> bool:
        """Whether any agent may be called as a tool."""
        return bool(self._agents)

    def offers(self, agent_name: str) -> bool:
        """Return whether an agent may be called as a tool."""
        return self._agents if isinstance(self._agents, bool) else agent_name in self._agents

    async def prepare(
        self,
        request: RunRequest,
        report: RequestReport,
        fail: Fail,
        *,
        endpoints: Iterable[ActionSource],
        agents: Sequence[AgentAction] | None,
        earlier: Earlier | None = None,
        kept: Kept | None = None,
        confirm: Confirm | None = None,
        judged: bool = False,
    ) -> PreparedRun:
        """Return what the run of ``request`` needs to ask its provider.

        Args:
            request: The client's request.
            report: Calls the hooks.
            fail: Ends the run with an error.
            endpoints: The sources of actions among the providers.
            agents: The agents that are offered as tools; None for a run within a run, which calls no agents, and does
                not wait for its thread, since it might wait for the run that it is part of.
            earlier: Finds a run that is to have the thread first.
            kept: Reads what is kept of the thread, for a client that may have sent a part of it; None if it sent all.
            confirm: Checks that the thread is still the caller's, once the run has the right to it.
            judged: Whether guardrails have let the input pass in another process.

        Raises:
            ThreadBusyError: Another run has the thread.
            ThreadNotFoundError: The thread was removed since it was opened.
            GuardrailsDeniedError: The guardrails refuse.
            CopilotKitError: The store, or a guardrail, failed.
        """
        lock = self._lock(request, fail, nested=agents is None)
        if lock is not None:
            await self._wait_for_turn(request, lock, earlier)
        try:
            if confirm is not None:
                await confirm()
            if kept is not None:
                await self._complete(request, kept)
            # The messages of a run within a run pass the guardrails of the outer one.
            gate = _NO_GATE if agents is None else self._gate_for(request)
            if not judged:
                await _judge(gate, request)
            offer = await self._catalogue.offer(request.agent_name or MODEL, request.context, endpoints)
            offered = _offered(offer, agents or ())
            run_input = _with_tools(request, offer, offered)
            # What a run within a run draws passes the stages of the outer one.
            draws = agents is not None and not request.ephemeral
            run_input, drawing = self.interfaces.prepare(request, run_input) if draws else (run_input, [])
            await report.on_request(run_input)
            stages = [
                *self._action_stages(request, fail, offered),
                *drawing,
                *_guard_stages(gate, request),
                *report.stages(),
            ]
            return PreparedRun(
                input=run_input,
                stages=stages,
                lock=lock,
                client_tools=_client_tools(request, offered),
            )
        except BaseException:
            if lock is not None:
                await lock.release()
            raise

    @property
    def calls_before(self) -> bool:
        """Whether there is a hook before requests."""
        return self._hooks.on_before_request is not None

    async def judge(self, request: RunRequest) -> bool:
        """Let the guardrails of this process judge the input of a run; return whether there are any.

        Raises:
            GuardrailsDeniedError: They refuse.
            CopilotKitError: One of them failed.
        """
        gate = self._gate_for(request)
        await _judge(gate, request)
        return bool(gate.guardrails)

    async def _complete(self, request: RunRequest, kept: Kept) -> None:
        """Add what the runs have left in the thread for which this one waited: its client could not know it."""
        found = await kept()
        if found is not None:
            joined = join_history(found.messages, request.input.messages)
            request.input.messages = newest(joined, self._config.max_messages)

    async def _wait_for_turn(self, request: RunRequest, lock: ThreadLock, earlier: Earlier | None) -> None:
        thread = (request.input.thread_id, request.agent_name)
        if self._waiting[thread] >= self._config.max_waiting_runs:
            raise ThreadBusyError("Too many runs wait for this thread.")
        self._waiting[thread] += 1
        try:
            await self._take_turn(lock, earlier)
        finally:
            self._waiting[thread] -= 1
            if not self._waiting[thread]:
                del self._waiting[thread]

    async def _take_turn(self, lock: ThreadLock, earlier: Earlier | None) -> None:
        while True:
            await lock.acquire()
            if earlier is None:
                return
            try:
                first = await earlier()
            except BaseException:
                await lock.release()
                raise
            if first is None:
                return
            await lock.pass_on()
            if self._config.busy_policy == "reject":
                raise ThreadBusyError("Another run of this agent is active on this thread.")
            await first.join()

    def _lock(self, request: RunRequest, fail: Fail, *, nested: bool) -> ThreadLock | None:
        if request.agent_name is None or request.ephemeral:
            return None
        policy = "reject" if nested else self._config.busy_policy
        return ThreadLock(self._store, request.input.thread_id, request.agent_name, policy, fail)

    def _gate_for(self, request: RunRequest) -> GuardrailGate:
        asked_for = (request.cloud or {}).get("guardrails") is not None
        return self._gate.joined_by(self._cloud) if asked_for and self._cloud is not None else self._gate

    def _action_stages(
        self, request: RunRequest, fail: Fail, offered: Mapping[str, Action | AgentAction]
    ) -> list[StageFactory]:
        if not offered:
            return []
        return [partial(ActionStage, runner=self._runner, actions=offered, context=request.context, fail=fail)]


def _client_tools(request: RunRequest, offered: Mapping[str, Action | AgentAction]) -> frozenset[str]:
    if not request.frontend_actions:
        return _NO_TOOLS  # each open run would keep an empty set of its own
    return frozenset(each.tool.name for each in request.frontend_actions if each.tool.name not in offered)


def _offered(offer: Offer, agents: Sequence[AgentAction]) -> dict[str, Action | AgentAction]:
    return {**offer.actions, **{agent.name: agent for agent in agents if agent.name not in offer.actions}}


def _with_tools(request: RunRequest, offer: Offer, offered: Mapping[str, Action | AgentAction]) -> RunInput:
    run_input = msgspec.structs.replace(request.input, tools=_tools(request, offered))
    if request.agent_name is None and offer.guidance:
        run_input.messages = _guided(run_input.messages, offer)
    return run_input


async def _judge(gate: GuardrailGate, request: RunRequest) -> None:
    if not gate.guardrails:
        return
    rules = ((request.cloud or {}).get("guardrails") or {}).get("input_validation_rules") or {}
    check = input_check(
        request.input.messages,
        request.context,
        agent_name=request.agent_name,
        rules=rules,
        cloud_key=request.cloud_key,
    )
    if check is not None:
        await gate.check_input(check)


def _guard_stages(gate: GuardrailGate, request: RunRequest) -> list[StageFactory]:
    if not gate.checks_output:
        return []
    return [partial(OutputGuardStage, gate=gate, context=request.context, agent_name=request.agent_name)]


def _tools(request: RunRequest, offered: Mapping[str, Action | AgentAction]) -> list[Tool]:
    """Return the server's tools, then the client's, without the remote ones for models; the first of a name wins."""
    for_agent = request.agent_name is not None
    tools = [one.tool for one in offered.values()]
    tools += [a.tool for a in request.frontend_actions if for_agent or not a.remote]
    first: dict[str, Tool] = {}
    for tool in tools:
        first.setdefault(tool.name, tool)
    return list(first.values())


def _guided(messages: Sequence[Message], offer: Offer) -> list[Message]:
    """Return the thread with the guidance on tools, in its first system message or in a new one."""
    text = "\n\n".join(offer.guidance)
    for index, message in enumerate(messages):
        if isinstance(message, TextMessage) and message.role == "system":
            guided = msgspec.structs.replace(message, content=f"{message.content}\n\n{text}")
            return [*messages[:index], guided, *messages[index + 1 :]]
    return [TextMessage(role="system", content=text), *messages]
