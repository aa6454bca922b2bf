"""The provider that answers requests which name no agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
import structlog

from ...runtime.context import RunContext, RunInput
from ...runtime.errors import CopilotKitError, MisuseError
from ...runtime.events import Event
from ...runtime.media import messages_for
from ...runtime.provider import AgentDescriptor, AgentProvider
from .attachments import LANGCHAIN
from .call_details import CallDetails, DetailsStore
from .callable_stream import answer_events
from .chat import ChatModel
from .client_context import with_client_context
from .model_resolver import Choice, ModelResolver, ModelSource
from .offered_tools import OfferedTools
from .options import ModelOptions
from .prompt import prompt_of
from .streams import closing
from .vendors import NO_ASSISTANTS

log = structlog.get_logger(__name__)


def model_provider(model: ModelSource, options: ModelOptions | None = None) -> AgentProvider:
    """Return the provider for what ``CopilotRuntime(model=...)`` was given.

    Args:
        model: ``vendor:model``; an ``AsyncOpenAI`` or ``AsyncAnthropic`` client, or a pair of one and a model's
            name; a LangChain chat model; a callable of ``(run, context)`` or of nothing, sync or async, that returns
            one of these for each run, or yields texts or events itself; or an ``AgentProvider``, which is returned.
        options: How models are to be used.

    Raises:
        MisuseError: ``model`` is none of these.
    """
    return model if isinstance(model, AgentProvider) else ModelProvider(model, options)


class ModelProvider(AgentProvider):
    """Models without an agent. It lists no agents: the runtime calls it when a request names none.

    Args:
        model: What answers: see ``model_provider``.
        options: How models are to be used.

    Raises:
        MisuseError: ``model`` can never answer.
    """

    name = "models"
    takes = LANGCHAIN

    def __init__(self, model: ModelSource, options: ModelOptions | None = None) -> None:
        self.options = options or ModelOptions()
        self._chooser = ModelResolver(model, self.options)

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return none."""
        return []

    def accepts(self, agent_name: str) -> frozenset[str]:
        """Return what the vendor's protocol takes; where the model is chosen for each run, what any may take."""
        del agent_name
        return self._chooser.takes | {"image"}

    def capabilities(self, agent_name: str) -> dict[str, Any]:
        """Return what models can do here."""
        del agent_name
        tools = {"supported": True, "clientProvided": True, "parallelCalls": self.options.parallel_tool_calls}
        return {"tools": tools}

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Answer ``run``.

        Raises:
            CopilotKitError: The vendor failed, or cannot be reached.
        """
        if "openaiAssistantAPI" in run.extensions:
            raise MisuseError(NO_ASSISTANTS)
        choice = await self._chooser.choose(run, context)
        kept = DetailsStore(self.store)
        details = CallDetails()
        if isinstance(choice, ChatModel):
            choice = await self._asked_for(choice, run.forwarded.model)
            details = await kept.load(run)
        async with closing(_events(choice, agent_name, run, context, details)) as events:
            async for event in events:
                yield event
        await kept.save(run, details)

    async def check(self) -> None:
        """Make a model that is known by name ready, which imports its vendor's package.

        Raises:
            CopilotKitError: It cannot answer: its package, its key or another setting is missing.
        """
        await self._chooser.warm()

    async def start(self) -> None:
        """Make the model ready, so that the first run need not. What is missing is logged; runs report it."""
        try:
            await self.check()
        except CopilotKitError as error:
            log.warning("model_not_ready", reason=error.message)

    async def stop(self) -> None:
        """Close the connections that were opened here. A client that was given stays open."""
        await self._chooser.vendors.close()

    async def _asked_for(self, chat: ChatModel, name: str | None) -> ChatModel:
        if name is None or name == chat.name:
            return chat
        if name not in self.options.allowed_models:
            log.info("forwarded_model_not_allowed", forwarded=name, used=chat.name)
            return chat
        return await self._chooser.vendors.chat(name) if ":" in name else chat.named(name)


def _events(
    choice: Choice, agent_name: str, run: RunInput, context: RunContext, details: CallDetails
) -> AsyncIterator[Event]:
    match choice:
        case ChatModel():
            taken = messages_for(run.messages, choice.takes | {"image"})
            offered = OfferedTools(msgspec.structs.replace(run, messages=with_client_context(run, taken)))
            return offered.events(choice.answer(prompt_of(offered.run(), details)))
        case AgentProvider():
            return choice.execute_run(agent_name, run, context)
        case _:
            return answer_events(choice, run)
