"""What AG-UI agents report of the tokens that their models cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .events import RunUsage


def usage_of(reported: Any) -> list[RunUsage]:
    """Read the ``usage`` of an AG-UI event: a list of entries, each for one model. What is not an entry is left out."""
    entries = reported if isinstance(reported, list | tuple) else ()
    found = (_entry(entry) for entry in entries if isinstance(entry, Mapping))
    return [usage for usage in found if usage.input_tokens or usage.output_tokens]


def _entry(entry: Mapping[str, Any]) -> RunUsage:
    model = entry.get("model")
    return RunUsage(
        input_tokens=_count(entry.get("inputTokens")),
        output_tokens=_count(entry.get("outputTokens")),
        cached_tokens=_count(entry.get("cachedInputTokens")),
        reasoning_tokens=_count(entry.get("reasoningTokens")),
        model=model if isinstance(model, str) else None,
    )


def _count(value: Any) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and abs(value) < 2**53 else 0
