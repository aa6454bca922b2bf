"""Prompts in Anthropic's Messages API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias, assert_never

from ...runtime.context import Tool
from ...runtime.errors import ConfigurationError
from .attachments import anthropic_block
from .call_details import CallDetails
from .conversation import Attached, Exchange, Picture, TextTurn, Turn
from .options import ModelOptions
from .prompt import Prompt, ToolChoice
from .system_text import parted

DEFAULT_MAX_TOKENS = 1_024
EMPTY_RESULT = "Action completed successfully"
OPENING = "(The conversation continues.)"

_MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
}
_MODES = {"auto": "auto", "none": "none", "required": "any"}
_CACHED = {"cache_control": {"type": "ephemeral"}}

Block = dict[str, Any]
Exchanged: TypeAlias = Callable[[Exchange], Iterable[tuple[str, Block]]]


def request_body(model: str, prompt: Prompt, options: ModelOptions, origin: str = "") -> dict[str, Any]:
    """Return the arguments of ``messages.create`` (docs/contract.md, section 5.3).

    Whatever may be left out goes through ``extra_body``: generations of the SDK differ in what they name.

    Args:
        model: The model's name.
        prompt: What to send.
        options: How the model is used.
        origin: The vendor, as ``CallDetails`` knows it.

    Raises:
        ConfigurationError: A picture is of a format that Anthropic does not read.
    """
    settings = prompt.settings
    system, rest = parted(prompt.turns)
    messages = _messages(rest, partial(_exchange, details=prompt.details, origin=origin, ids=_tool_ids(rest)))
    if options.prompt_caching:
        messages[-1]["content"][-1].update(_CACHED)
    more = {
        "system": _system(system, options),
        "temperature": settings.temperature,
        "stop_sequences": settings.stop or None,
        **_tools(prompt, options),
    }
    return {
        "model": model,
        "stream": True,
        "max_tokens": DEFAULT_MAX_TOKENS if settings.max_tokens is None else settings.max_tokens,
        "messages": messages,
        "extra_body": {name: value for name, value in more.items() if value is not None},
    }


def _system(text: str, options: ModelOptions) -> str | list[Block] | None:
    if text and options.prompt_caching:
        return [{"type": "text", "text": text, **_CACHED}]
    return text or None


# The API wants the two sides to take turns, the person first.
def _messages(turns: Sequence[Turn], exchange: Exchanged) -> list[dict[str, Any]]:
    blocks = [(role, block) for turn in turns for role, block in _blocks(turn, exchange)]
    if not blocks or blocks[0][0] == "assistant":
        blocks.insert(0, ("user", _text(OPENING)))
    sides = groupby(blocks, key=itemgetter(0))
    return [{"role": role, "content": [block for _, block in blocks]} for role, blocks in sides]


def _blocks(turn: Turn, exchange: Exchanged) -> Iterable[tuple[str, Block]]:
    match turn:
        case TextTurn(role="assistant", text=text):
            return [("assistant", _text(text.rstrip()))]
        case TextTurn(text=text):
            return [("user", _text(text))] if text.strip() else []
        case Picture():
            return [("user", _picture(turn))]
        case Attached(message=attached):
            return [("user", anthropic_block(attached))]
        case Exchange():
            return exchange(turn)
        case _:
            assert_never(turn)


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _picture(turn: Picture) -> Block:
    media_type = _MEDIA_TYPES.get(turn.format.lower())
    if media_type is None:
        raise ConfigurationError(f"Unsupported image format: {turn.format}")
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": turn.data}}


def _exchange(turn: Exchange, details: CallDetails, origin: str, ids: Mapping[str, str]) -> Iterable[tuple[str, Block]]:
    thinking = [details.of_call(call.id, origin).get("thinking") or [] for call in turn.calls]
    # An answer that begins with thinking has to begin with it again.
    yield from (("assistant", block) for block in thinking[0])
    if turn.text:
        yield "assistant", _text(turn.text.rstrip())
    for position, call in enumerate(turn.calls):
        yield from (("assistant", block) for block in (thinking[position] if position else ()))
        block = {"type": "tool_use", "id": ids[call.id], "name": call.name, "input": call.arguments}
        yield "assistant", block
    for call, result in zip(turn.calls, turn.results, strict=True):
        content = result if result.strip() else EMPTY_RESULT
        yield "user", {"type": "tool_result", "tool_use_id": ids[call.id], "content": content}


# Ids may come from another vendor, which allows more characters. Two must not become the same.
def _tool_ids(turns: Sequence[Turn]) -> dict[str, str]:
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for turn in (turn for turn in turns if isinstance(turn, Exchange)):
        for call in turn.calls:
            plain = re.sub(r"[^a-zA-Z0-9_-]", "_", turn.id_of(call))
            ids[call.id] = f"{plain}_{len(taken)}" if plain in taken else plain
            taken.add(ids[call.id])
    return ids


def _tools(prompt: Prompt, options: ModelOptions) -> dict[str, Any]:
    if not prompt.tools:
        return _tools_of_history(prompt.turns)
    choice = _choice(prompt.choice)
    if not options.parallel_tool_calls and choice != {"type": "none"}:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {"tools": [_tool(tool) for tool in prompt.tools], "tool_choice": choice}


def _tool(tool: Tool) -> Block:
    schema = {"type": "object", "properties": {}, **tool.parameters}
    return {"name": tool.name, "description": tool.description, "input_schema": schema}


# A history of tool calls is refused unless tools are declared, even where none may be called any more.
def _tools_of_history(turns: Sequence[Turn]) -> dict[str, Any]:
    names = {call.name: None for turn in turns if isinstance(turn, Exchange) for call in turn.calls}
    if not names:
        return {}
    tools = [_tool(Tool(name=name, description="", parameters={})) for name in names]
    return {"tools": tools, "tool_choice": {"type": "none"}}


def _choice(choice: ToolChoice | None) -> Block | None:
    if choice is None:
        return None
    if choice.mode == "function":
        return {"type": "tool", "name": choice.name}
    return {"type": _MODES[choice.mode]}
