"""All that happens between a run's start and the first word with its provider."""

from __future__ import annotations

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
from .context import Tool
from .guardrails.cloud import CloudGuardrail
from .guardrails.gate import GuardrailGate, input_check
from .guardrails.stage import OutputGuardStage
from .hooks.reports import RequestReport
from .messages import Message, TextMessage
from .request import RunRequest
from .runs.run import Run
from .runs.stages import StageFactory
from .runs.thread_lock import take_turn
from .stores.interface import StateStore

AgentsAsActions: TypeAlias = Callable[[RunRequest], Awaitable[Sequence[AgentAction]]]


_NO_GATE = GuardrailGate((), "open", 0)


class RunPreparer:
    """Makes runs ready: waits for their turn, asks the guardrails, and gathers the tools.

    Args:
        config: The settings.
        store: Says whose turn it is.
        catalogue: The server-side actions.
        runner: Executes them.
        gate: The runtime's own guardrails.
        cloud: The guardrails that a page may ask for, if there are any.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        store: StateStore,
        catalogue: ActionCatalogue,
        runner: ActionRunner,
        gate: GuardrailGate,
        cloud: CloudGuardrail | None,
    ) -> None:
        self._config = config
        self._store = store
        self._catalogue = catalogue
        self._runner = runner
        self._gate = gate
        self._cloud = cloud

    async def prepare(
        self,
        request: RunRequest,
        report: RequestReport,
        run: Run,
        *,
        endpoints: Iterable[ActionSource],
        agents: Sequence[AgentAction] | None,
    ) -> list[StageFactory]:
        """Makes ``run`` ready to ask its provider, and says what its events have to pass.

        Args:
            request: What the page asked for.
            report: Tells the hooks.
            run: The run.
            endpoints: The sources of actions among the providers.
            agents: The agents that are offered as tools; None for a run within a run, which calls no agents, and does
                not wait for its turn, since it might wait for the run that it is part of.

        Raises:
            ThreadBusyError: It is not this run's turn.
            GuardrailsDeniedError: The guardrails refuse.
            CopilotKitError: The store, or a guardrail, failed.
        """
        if request.agent_name is not None:
            await take_turn(run, self._store, "reject" if agents is None else self._config.busy_policy)
        # What a run within a run says passes the guardrails of the outer one.
        gate = _NO_GATE if agents is None else self._gate_for(request)
        await _judge(gate, request)
        offer = await self._catalogue.offer(request.context, endpoints)
        offered: dict[str, Action | AgentAction] = {agent.name: agent for agent in agents or ()}
        offered = {**offer.actions, **{name: agent for name, agent in offered.items() if name not in offer.actions}}
        run.input.tools = _tools(request, offered)
        if request.agent_name is None and offer.guidance:
            run.input.messages = _guided(run.input.messages, offer)
        await report.on_request()
        return [*self._action_stages(run, offered), *_guard_stages(gate, request), *report.stages()]

    def _gate_for(self, request: RunRequest) -> GuardrailGate:
        asked_for = (request.cloud or {}).get("guardrails") is not None
        return self._gate.joined_by(self._cloud) if asked_for and self._cloud is not None else self._gate

    def _action_stages(self, run: Run, offered: Mapping[str, Action | AgentAction]) -> list[StageFactory]:
        if not offered:
            return []
        return [partial(ActionStage, runner=self._runner, actions=offered, context=run.context, fail=run.fail)]


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
    """The server's tools, then the page's, of which models do not get the remote ones; the first of a name wins."""
    for_agent = request.agent_name is not None
    tools = [one.tool for one in offered.values()]
    tools += [a.tool for a in request.frontend_actions if for_agent or not a.remote]
    first: dict[str, Tool] = {}
    for tool in tools:
        first.setdefault(tool.name, tool)
    return list(first.values())


def _guided(messages: Sequence[Message], offer: Offer) -> list[Message]:
    """The thread with what models are told about tools, in its first system message or in a new one."""
    text = "\n\n".join(offer.guidance)
    for index, message in enumerate(messages):
        if isinstance(message, TextMessage) and message.role == "system":
            told = msgspec.structs.replace(message, content=f"{message.content}\n\n{text}")
            return [*messages[:index], told, *messages[index + 1 :]]
    return [TextMessage(role="system", content=text), *messages]
