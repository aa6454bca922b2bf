"""Prompts in OpenAI's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, assert_never

import msgspec

from .attachments import openai_part
from .call_details import CallDetails
from .conversation import Attached, Exchange, Picture, TextTurn, Turn
from .openai_dialects import Dialect
from .options import ModelOptions
from .prompt import Prompt, ToolChoice


def request_body(
    model: str, prompt: Prompt, dialect: Dialect, options: ModelOptions, origin: str = ""
) -> dict[str, Any]:
    """Return the arguments of ``chat.completions.create`` (docs/contract.md, section 5.1).

    Whatever may be left out goes through ``extra_body``: generations of the SDK differ in what they name.

    Args:
        model: The model's name.
        prompt: What to send.
        dialect: The vendor's ways.
        options: How the model is used.
        origin: The vendor, as ``CallDetails`` knows it.
    """
    exchange = partial(_exchange, details=prompt.details, origin=origin)
    settings = prompt.settings
    more = {
        "temperature": settings.temperature,
        dialect.token_limit_of(model): settings.max_tokens,
        "stop": settings.stop or None,
        "stream_options": {"include_usage": True} if dialect.reports_usage else None,
        **_tools(prompt, options),
    }
    return {
        "model": model,
        "stream": True,
        "messages": [message for turn in _turns(prompt, dialect) for message in _messages(turn, dialect, exchange)],
        "extra_body": {name: value for name, value in more.items() if value is not None},
    }


# Servers of open models have templates that want at least one message by the user, and Gemini does.
def _turns(prompt: Prompt, dialect: Dialect) -> list[Turn]:
    if dialect.needs_user and not any(_by_others(turn) for turn in prompt.turns):
        return [
            TextTurn(role="user", text="\n\n".join(turn.text for turn in prompt.turns if isinstance(turn, TextTurn)))
        ]
    return prompt.turns


def _by_others(turn: Turn) -> bool:
    return not (isinstance(turn, TextTurn) and turn.role in ("system", "developer"))


def _messages(
    turn: Turn, dialect: Dialect, exchange: Callable[[Exchange], list[dict[str, Any]]]
) -> Iterable[dict[str, Any]]:
    match turn:
        case TextTurn(role="system", text=text):
            return [{"role": dialect.instructions, "content": text}]
        case TextTurn(role="developer", text=text):
            return [{"role": dialect.developer, "content": text}]
        case TextTurn(role=role, text=text):
            return [{"role": role, "content": text}]
        case Picture(format=format_, data=data):
            url = {"url": f"data:image/{format_};base64,{data}"}
            return [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
        case Attached(message=attached):
            return [{"role": "user", "content": [openai_part(attached)]}]
        case Exchange():
            return exchange(turn)
        case _:
            assert_never(turn)


def _exchange(turn: Exchange, details: CallDetails, origin: str) -> list[dict[str, Any]]:
    calls = [
        {
            "id": turn.id_of(call),
            "type": "function",
            "function": {"name": call.name, "arguments": msgspec.json.encode(call.arguments).decode()},
            **details.of_call(call.id, origin),
        }
        for call in turn.calls
    ]
    results = [
        {"role": "tool", "content": result, "tool_call_id": turn.id_of(call)}
        for call, result in zip(turn.calls, turn.results, strict=True)
    ]
    calling = {"role": "assistant", "content": turn.text or None, "tool_calls": calls}
    return [{**calling, **details.of_message(turn.calls, origin)}, *results]


def _tools(prompt: Prompt, options: ModelOptions) -> dict[str, Any]:
    if not prompt.tools:
        return {}
    tools = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in prompt.tools
    ]
    return {
        "tools": tools,
        "tool_choice": _choice(prompt.choice),
        "parallel_tool_calls": None if options.parallel_tool_calls else False,
    }


def _choice(choice: ToolChoice | None) -> object:
    if choice is None:
        return None
    if choice.mode == "function":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode
