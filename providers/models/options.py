"""Settings of models."""

from __future__ import annotations

import msgspec


class ModelOptions(msgspec.Struct, kw_only=True, frozen=True):
    """Settings of a ``ModelProvider``.

    Attributes:
        allowed_models: The names that a client may choose in ``forwardedParameters.model``, with or without a
            vendor. Any other is ignored, and logged.
        keep_system_role: Send system texts to OpenAI and Azure as ``system`` instead of ``developer``.
        parallel_tool_calls: Let the model call several tools in one answer.
        prompt_caching: Mark system text and history as cacheable, for Anthropic.
        idle_seconds: The longest silence while an answer is awaited or streams. For a client that was given,
            its own time limit holds instead.
        connect_seconds: The longest wait for a connection, likewise.
        context_tokens: What the model can read at once, when it is not the known figure for its name.
    """

    allowed_models: frozenset[str] = frozenset()
    keep_system_role: bool = False
    parallel_tool_calls: bool = True
    prompt_caching: bool = False
    idle_seconds: float = 120.0
    connect_seconds: float = 10.0
    context_tokens: int | None = None
