"""What one call of a model cost, from the forms in which vendors and frameworks report it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..runtime.events import RunUsage


def openai_usage(reported: Any, model: str | None = None) -> RunUsage | None:
    """Read the ``usage`` of OpenAI's protocol, under the names of chat completions or of responses; None if none is."""
    counts = _mapping(reported)
    inputs = _count(counts, "prompt_tokens", "input_tokens")
    outputs = _count(counts, "completion_tokens", "output_tokens")
    read = _mapping(counts.get("prompt_tokens_details") or counts.get("input_tokens_details"))
    written = _mapping(counts.get("completion_tokens_details") or counts.get("output_tokens_details"))
    cached = _count(read, "cached_tokens") or _count(counts, "prompt_cache_hit_tokens", "cached_prompt_tokens")
    reasoning = _count(written, "reasoning_tokens") or _count(counts, "reasoning_tokens")
    return _usage(inputs, outputs, cached, reasoning, model)


def anthropic_usage(reported: Mapping[str, Any], model: str | None = None) -> RunUsage | None:
    """Read the ``usage`` of Anthropic's Messages API, which counts what comes from a cache beside the input."""
    cached = _count(reported, "cache_read_input_tokens")
    inputs = _count(reported, "input_tokens") + cached + _count(reported, "cache_creation_input_tokens")
    return _usage(inputs, _count(reported, "output_tokens"), cached, 0, model)


def langchain_usage(reported: Any, model: str | None = None) -> RunUsage | None:
    """Read the ``usage_metadata`` of a LangChain message; None if it has none."""
    counts = _mapping(reported)
    cached = _count(_mapping(counts.get("input_token_details")), "cache_read")
    reasoning = _count(_mapping(counts.get("output_token_details")), "reasoning")
    return _usage(_count(counts, "input_tokens"), _count(counts, "output_tokens"), cached, reasoning, model)


def _usage(inputs: int, outputs: int, cached: int, reasoning: int, model: str | None) -> RunUsage | None:
    if not inputs and not outputs:
        return None
    return RunUsage(
        input_tokens=inputs, output_tokens=outputs, cached_tokens=cached, reasoning_tokens=reasoning, model=model
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    return value if isinstance(value, Mapping) else {}


def _count(counts: Mapping[str, Any], *names: str) -> int:
    """Return the first of these counts that is a number; vendors write some as texts or with a fraction."""
    for name in names:
        value = counts.get(name)
        if isinstance(value, bool) or value is None:
            continue
        try:
            return max(0, int(value))
        except (TypeError, ValueError, OverflowError):
            continue
    return 0
