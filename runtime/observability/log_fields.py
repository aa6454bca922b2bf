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

    def __init__(self, **fields: Any) -> None:
        self._fields = fields
        self._tokens: dict[str, Token[Any]] = {}

    def __enter__(self) -> None:
        self._tokens = dict(bind_contextvars(**self._fields))
        self._fields = {}  # an open stream would keep them, for nothing

    def __exit__(self, *_error: object) -> None:
        reset_contextvars(**self._tokens)
