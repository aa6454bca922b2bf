"""The part of a conversation that fits into a model's context."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...runtime.context import Tool
from ...runtime.errors import ConfigurationError
from .conversation import Attached, Exchange, Picture, TextTurn, Turn

CHARACTERS_PER_TOKEN = 3
PICTURE_CHARACTERS = 3_000
DEFAULT_CONTEXT = 128_000

# The longest prefix counts. The first block is the TypeScript runtime's table (docs/contract.md, section 5).
_CONTEXTS = {
    "gpt-3.5-turbo": 16_385,
    "gpt-3.5-turbo-0301": 4_097,
    "gpt-3.5-turbo-0613": 4_096,
    "gpt-3.5-turbo-instruct": 4_096,
    "gpt-4": 8_192,
    "gpt-4-32k": 32_768,
    "gpt-4-turbo": 128_000,
    "gpt-4-0125-preview": 128_000,
    "gpt-4-1106": 128_000,
    "gpt-4-vision": 128_000,
    "gpt-4o": 128_000,
    "o1": 200_000,
    "o1-mini": 128_000,
    "o1-preview": 128_000,
    "o3-mini": 200_000,
    "gpt-4.1": 1_047_576,
    "gpt-5": 272_000,
    "o3": 200_000,
    "o4-mini": 200_000,
}


def context_of(model: str) -> int:
    """Return the tokens that ``model`` can read at once; 128,000 for one that is not known."""
    known = [prefix for prefix in _CONTEXTS if model == prefix or model.startswith(f"{prefix}-")]
    return _CONTEXTS[max(known, key=len)] if known else DEFAULT_CONTEXT


def fit(turns: Sequence[Turn], tools: Sequence[Tool], limit: int) -> list[Turn]:
    """Return the newest part of ``turns`` that fits, with every system and developer text, and always the newest turn.

    A token is taken to be three characters, as in the TypeScript runtime (docs/contract.md, section 5). An exchange
    is kept or dropped whole, so that no result loses its call.

    Args:
        turns: A conversation, oldest first.
        tools: The tools sent along, which need room too.
        limit: The model's context, in tokens.

    Raises:
        ConfigurationError: The tools, or the system texts, fill the context alone.
    """
    room = limit * CHARACTERS_PER_TOKEN - _size_of_tools(tools, limit)
    room -= sum(_size(turn) for turn in turns if _stays(turn))
    if room < 0:
        raise ConfigurationError("Not enough tokens for system message.")
    history = [turn for turn in turns if not _stays(turn)]
    gone = {id(turn) for turn in history[: len(history) - _newest(history, room)]}
    return [turn for turn in turns if id(turn) not in gone]


def _stays(turn: Turn) -> bool:
    return isinstance(turn, TextTurn) and turn.role in ("system", "developer")


def _newest(history: Sequence[Turn], room: int) -> int:
    count = 0
    for turn in reversed(history):
        room -= _size(turn)
        if room < 0 and count:
            break
        count += 1
    return count


def _size_of_tools(tools: Sequence[Tool], limit: int) -> int:
    size = len(msgspec.json.encode(tools)) if tools else 0
    if size > limit * CHARACTERS_PER_TOKEN:
        tokens = size // CHARACTERS_PER_TOKEN
        raise ConfigurationError(f"Too many tokens in function definitions: {tokens} > {limit}")
    return size


def _size(turn: Turn) -> int:
    match turn:
        case TextTurn():
            return len(turn.text)
        case Picture() | Attached():
            return PICTURE_CHARACTERS
        case Exchange():
            arguments = sum(len(msgspec.json.encode(call.arguments)) for call in turn.calls)
            return len(turn.text) + arguments + sum(map(len, turn.results))
