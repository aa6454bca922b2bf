"""Fields that every line of the log has within a block."""

from __future__ import annotations

from contextvars import Token
from typing import Any

from structlog.contextvars import bind_contextvars, reset_contextvars


class LogFields:
    """Adds fields to the lines that are logged in a block; what has these names outside comes back behind it.

    structlog's own way looks at all of the context twice, which each request and each run would pay.

    Args:
        fields: The fields.
    """

    __slots__ = ("_fields", "_tokens")

    def __init__(self, **fields: Any) -> None:
        self._fields: dict[str, Any] | None = fields
        self._tokens: tuple[tuple[str, Token[Any]], ...] = ()

    def __enter__(self) -> None:
        # A stream keeps them for as long as it is open, in less room than as what they came as.
        self._tokens = tuple(bind_contextvars(**(self._fields or {})).items())
        self._fields = None

    def __exit__(self, *_error: object) -> None:
        reset_contextvars(**dict(self._tokens))
