"""What a prompt is in OpenAI's protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

from .conversation import Exchange, Picture, Said, Turn
from .openai_dialects import Dialect
from .options import ModelOptions
from .prompt import Prompt, ToolChoice


def request_body(model: str, prompt: Prompt, dialect: Dialect, options: ModelOptions) -> dict[str, Any]:
    """The arguments of ``chat.completions.create`` (docs/contract.md, section 5.1).

    Whatever may be left out goes through ``extra_body``: generations of the SDK differ in what they name.
    """
    settings = prompt.settings
    more = {
        "temperature": settings.temperature,
        dialect.token_limit: settings.max_tokens,
        "stop": settings.stop or None,
        **_tools(prompt, options),
    }
    return {
        "model": model,
        "stream": True,
        "messages": [message for turn in prompt.turns for message in _messages(turn, dialect)],
        "extra_body": {name: value for name, value in more.items() if value is not None},
    }


def _messages(turn: Turn, dialect: Dialect) -> Iterable[dict[str, Any]]:
    match turn:
        case Said(role="system", text=text):
            return [{"role": dialect.instructions, "content": text}]
        case Said(role="developer", text=text):
            return [{"role": dialect.developer, "content": text}]
        case Said(role=role, text=text):
            return [{"role": role, "content": text}]
        case Picture(format=format_, data=data):
            url = {"url": f"data:image/{format_};base64,{data}"}
            return [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
        case Exchange():
            return _exchange(turn)
        case _:
            assert_never(turn)


def _exchange(turn: Exchange) -> list[dict[str, Any]]:
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": msgspec.json.encode(call.arguments).decode()},
        }
        for call in turn.calls
    ]
    results = [
        {"role": "tool", "content": result, "tool_call_id": call.id}
        for call, result in zip(turn.calls, turn.results, strict=True)
    ]
    return [{"role": "assistant", "content": turn.text or None, "tool_calls": calls}, *results]


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
