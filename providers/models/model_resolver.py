"""Models as users give them, and the choice of one for a run."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator
from typing import Any, TypeAlias

from ...runtime.context import RunContext, RunInput
from ...runtime.errors import MisuseError
from ...runtime.provider import AgentProvider
from .attachments import LANGCHAIN
from .callable_stream import is_message
from .chat import ChatModel
from .options import ModelOptions
from .vendors import Vendors, split, vendor_takes

ModelSource: TypeAlias = object
Choice: TypeAlias = ChatModel | AgentProvider | AsyncIterable[Any] | Generator[Any]

ACCEPTED = (
    "'vendor:model', an AsyncOpenAI or AsyncAnthropic client (or a pair of one and a model's name), a LangChain chat"
    " model, an AgentProvider, or a callable that returns one of these or yields the answer"
)


class ModelResolver:
    """Finds what answers a run.

    Args:
        source: What the user gave: see ``model_provider``.
        options: How models are to be used.

    Raises:
        MisuseError: ``source`` can never answer.
    """

    def __init__(self, source: ModelSource, options: ModelOptions) -> None:
        if isinstance(source, str):
            split(source)
        self.vendors = Vendors(options)
        self._options = options
        self._loaded: set[type] = set()
        self._source = source if isinstance(source, str) else adopted(source, options) or source
        if not isinstance(self._source, str | ChatModel | AgentProvider) and not callable(self._source):
            raise MisuseError(f"A model is {ACCEPTED}, not {type(source).__name__}.")

    @property
    def takes(self) -> frozenset[str]:
        """What the model takes besides texts and pictures; where it is chosen for each run, what any model may."""
        match self._source:
            case str():
                return vendor_takes(self._source)
            case ChatModel():
                return self._source.takes
            case AgentProvider():
                return self._source.accepts("")
            case _:
                return LANGCHAIN

    async def warm(self) -> None:
        """Make a model that is known before the first run ready, which imports its vendor's package."""
        if isinstance(self._source, str | ChatModel):
            await self._ready(self._source)

    async def choose(self, run: RunInput, context: RunContext) -> Choice:
        """Return what answers ``run``.

        Raises:
            MisuseError: The user's callable returned nothing that can answer.
        """
        if isinstance(self._source, str | ChatModel | AgentProvider):
            return await self._ready(self._source)
        picked = await _call(self._source, run, context)  # type: ignore[arg-type]
        if isinstance(picked, AsyncIterable | Generator):
            return picked
        if is_message(picked):
            return _alone(picked)
        return await self._ready(picked)

    async def _ready(self, source: ModelSource) -> ChatModel | AgentProvider:
        if isinstance(source, str):
            return await self.vendors.chat(source)
        kind = type(_named(source)[0])
        if kind in self._loaded:
            model = adopted(source, self._options)
        else:
            model = await asyncio.to_thread(_loaded, source, self._options)
        if model is None:
            raise MisuseError(f"The model callable returned {type(source).__name__}. It may return {ACCEPTED}.")
        self._loaded.add(kind)
        return model


# The first of a kind has modules imported, which would hold up every other run.
def _loaded(source: ModelSource, options: ModelOptions) -> ChatModel | AgentProvider | None:
    model = adopted(source, options)
    if isinstance(model, ChatModel):
        model.load()
    return model


def _named(source: ModelSource) -> tuple[Any, str | None]:
    """Return a client and the name of its model, from a pair of them or a client alone."""
    return source if isinstance(source, tuple) and len(source) == 2 else (source, None)


def adopted(source: ModelSource, options: ModelOptions) -> ChatModel | AgentProvider | None:
    """Return ``source`` as a model if it is one, or a vendor's client, whose package is there then.

    Raises:
        MisuseError: It is a client that blocks, or that does not stream lines.
    """
    if isinstance(source, ChatModel | AgentProvider):
        return source
    client, name = _named(source)
    if _is_runnable(client):
        return _adopted_runnable(client, name, options)
    match _maker(client):
        case "openai":
            return _adopted_openai(client, name, options)
        case "anthropic":
            return _adopted_anthropic(client, name, options)
        case _:
            return None


def _adopted_runnable(model: Any, name: str | None, options: ModelOptions) -> ChatModel:
    from .langchain_chat import LangChainChat

    chat = LangChainChat(model, options)
    return chat.named(name) if name else chat


def _adopted_openai(client: Any, name: str | None, options: ModelOptions) -> ChatModel:
    from .openai_clients import adopt

    return adopt(client, name, options)


def _adopted_anthropic(client: Any, name: str | None, options: ModelOptions) -> ChatModel:
    from .anthropic_clients import adopt

    return adopt(client, name, options)


def _is_runnable(source: object) -> bool:
    runnables = sys.modules.get("langchain_core.runnables")
    return runnables is not None and isinstance(source, runnables.Runnable)


# Anthropic's client for Bedrock streams in AWS's binary framing, which is left to LangChain.
_CLIENTS = {
    ("openai", "AsyncOpenAI"): "openai",
    ("anthropic", "AsyncAnthropic"): "anthropic",
    ("anthropic", "AsyncAnthropicVertex"): "anthropic",
}


def _maker(client: object) -> str | None:
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(client).__mro__}
    maker = next((vendor for kind, vendor in _CLIENTS.items() if kind in kinds), None)
    if maker is None and kinds & {(vendor, "BaseClient") for vendor in ("openai", "anthropic")}:
        raise MisuseError(f"{type(client).__name__} cannot be used here: give the runtime {ACCEPTED}.")
    return maker


async def _call(pick: Callable[..., Any], run: RunInput, context: RunContext) -> Any:
    arguments = (run, context)[: _arity(pick)]
    if inspect.iscoroutinefunction(pick) or inspect.isasyncgenfunction(pick):
        picked = pick(*arguments)
    else:
        picked = await asyncio.to_thread(pick, *arguments)
    return await picked if inspect.isawaitable(picked) else picked


def _arity(pick: Callable[..., Any]) -> int:
    parameters = inspect.signature(pick).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)


async def _alone(piece: Any) -> AsyncGenerator[Any]:
    yield piece
