"""The tokens that a run's model calls cost, as far as vendors report them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .. import events

_MOST_MODELS = 100
OTHER_MODELS = "(other)"
"""Stands for the models of a run behind the first hundred."""


class TokenUsage(msgspec.Struct, kw_only=True):
    """Tokens by kind. ``cached`` and ``reasoning`` are parts of ``input`` and of ``output``."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def add(self, event: events.RunUsage) -> None:
        """Add what one model call cost; what a provider reports as negative counts as nothing."""
        self.calls += 1
        self.input += max(0, event.input_tokens)
        self.output += max(0, event.output_tokens)
        self.cached += max(0, event.cached_tokens)
        self.reasoning += max(0, event.reasoning_tokens)


class UsageByModel:
    """Sums up the usage that a run reports, model by model."""

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: dict[str, TokenUsage] = {}

    def add(self, event: events.RunUsage) -> None:
        """Take note of one model call."""
        model = event.model or ""
        if model not in self._models and len(self._models) >= _MOST_MODELS:
            model = OTHER_MODELS
        self._models.setdefault(model, TokenUsage()).add(event)

    @property
    def models(self) -> Mapping[str, TokenUsage]:
        """The usage by the model's name, "" where the provider names none; empty if nothing was reported."""
        return self._models

    @property
    def total(self) -> TokenUsage | None:
        """The usage of all models, or None if nothing was reported."""
        if not self._models:
            return None
        every = self._models.values()
        return TokenUsage(**{name: sum(getattr(one, name) for one in every) for name in TokenUsage.__struct_fields__})
