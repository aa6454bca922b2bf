"""LangChain's chat models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from ...runtime.context import ForwardedParameters
from ...runtime.events import Event
from ..late_imports import import_early
from .attachments import LANGCHAIN
from .chat import ChatModel
from .failures import Vendor, vendor_failures
from .idle_timeout import unless_silent
from .langchain_chunks import ChunkReader
from .langchain_messages import langchain_messages, langchain_tools
from .options import ModelOptions
from .prompt import Prompt, ToolChoice
from .streams import closing
from .window import context_of

# Each vendor's package names these settings as it likes; the first name that a model has a field for is its own.
_TOKEN_LIMITS = ("max_tokens", "max_output_tokens", "num_predict", "max_completion_tokens", "max_new_tokens")
_NAMES = ("model_name", "model", "model_id", "deployment_name")

log = structlog.get_logger(__name__)


class LangChainChat(ChatModel):
    """A LangChain chat model, or a runnable that takes messages and gives one.

    Args:
        model: The model. It is never changed: settings go to a copy.
        options: How to use it.
    """

    takes = LANGCHAIN

    def __init__(self, model: Runnable[Any, Any], options: ModelOptions) -> None:
        self.model = model
        self._options = options

    @property
    def name(self) -> str:
        """Return the model's name, or its class's for one that has none."""
        named = (getattr(self.model, field, None) for field in _NAMES)
        return next((name for name in named if isinstance(name, str) and name), type(self.model).__name__)

    def named(self, name: str) -> LangChainChat:
        """Return the same, with another model's name."""
        field = _field(self.model, _NAMES)
        model = _with_fields(self.model, {field: name}) if field else self.model.bind(model=name)
        return LangChainChat(model, self._options)

    def load(self) -> None:
        """Import what LangChain imports with its first answer."""
        import_early()

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Event]:
        """Stream the model's answer."""
        reader = ChunkReader(prompt.assembler())
        fitting = prompt.within(self._context())
        with vendor_failures(Vendor(self._vendor())):
            async with closing(unless_silent(self._stream(fitting), self._options.idle_seconds)) as chunks:
                async for chunk in chunks:
                    for event in reader.read(chunk):
                        yield event
            for event in reader.end():
                yield event
        prompt.details.keep(self._origin(), reader.details())

    def _stream(self, prompt: Prompt) -> AsyncIterator[BaseMessage]:
        fields, arguments = _split(self.model, _wanted(prompt.settings))
        if prompt.settings.stop:
            arguments["stop"] = prompt.settings.stop
        model = _with_fields(self.model, fields)
        return _offering(model, prompt, self._options).astream(self._messages(prompt), **arguments)

    def _messages(self, prompt: Prompt) -> list[BaseMessage]:
        return langchain_messages(prompt.turns, prompt.details, self._origin())

    def _origin(self) -> str:
        return f"langchain {type(self.model).__name__}"

    def _context(self) -> int:
        profile = getattr(self.model, "profile", None) or {}
        return self._options.context_tokens or profile.get("max_input_tokens") or context_of(self.name)

    def _vendor(self) -> str:
        return type(self.model).__name__.removeprefix("Chat")


def _wanted(settings: ForwardedParameters) -> dict[tuple[str, ...], Any]:
    wanted = {
        ("temperature",): settings.temperature,
        _TOKEN_LIMITS: settings.max_tokens,
    }
    return {names: value for names, value in wanted.items() if value is not None}


# Classes such as Ollama's pass over call arguments for what is a field of theirs (docs/contract.md, section 5.6).
def _split(model: Runnable[Any, Any], wanted: dict[tuple[str, ...], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    fields: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    for names, value in wanted.items():
        field = _field(model, names)
        if field is None:
            arguments[names[0]] = value
        else:
            fields[field] = value
    return fields, arguments


def _field(model: Runnable[Any, Any], names: Iterable[str]) -> str | None:
    fields = type(model).model_fields if isinstance(model, BaseChatModel) else {}
    return next((name for name in names if name in fields), None)


def _with_fields(model: Runnable[Any, Any], fields: dict[str, Any]) -> Runnable[Any, Any]:
    return model.model_copy(update=fields) if fields and isinstance(model, BaseChatModel) else model


def _offering(model: Runnable[Any, Any], prompt: Prompt, options: ModelOptions) -> Runnable[Any, Any]:
    bind_tools = getattr(model, "bind_tools", None)
    if not prompt.tools or bind_tools is None or (prompt.choice and prompt.choice.mode == "none"):
        return model
    one_by_one = {} if options.parallel_tool_calls else {"parallel_tool_calls": False}
    try:
        bound: Runnable[Any, Any] = bind_tools(langchain_tools(prompt.tools), **_choice(prompt.choice), **one_by_one)
    except NotImplementedError:
        log.warning("model_takes_no_tools", model=type(model).__name__)
        return model
    return bound


def _choice(choice: ToolChoice | None) -> dict[str, str]:
    match choice:
        case ToolChoice(mode="required"):
            return {"tool_choice": "any"}
        case ToolChoice(mode="function", name=name):
            return {"tool_choice": name}
        case _:
            return {}
