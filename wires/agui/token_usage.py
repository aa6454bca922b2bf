"""What a run's model calls cost, as the events that end it report it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...runtime.runs.usage import TokenUsage


def usage_entries(models: Mapping[str, TokenUsage]) -> list[dict[str, Any]]:
    """Return AG-UI's entries, one for each model."""
    return [_entry(model, usage) for model, usage in models.items()]


def _entry(model: str, usage: TokenUsage) -> dict[str, Any]:
    parts = {"cachedInputTokens": usage.cached, "reasoningTokens": usage.reasoning}
    return {
        **({"model": model} if model else {}),
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
        **{name: count for name, count in parts.items() if count},
    }
