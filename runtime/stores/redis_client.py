"""What the store needs of a client of Redis: one server's, or a cluster's."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypeAlias

Word: TypeAlias = str | bytes | int | float
"""A part of a command."""


class RedisPipeline(Protocol):
    """Commands that are sent together."""

    async def __aenter__(self) -> RedisPipeline: ...

    async def __aexit__(self, *_: Any) -> None: ...

    def execute_command(self, *command: Word) -> Any:
        """Add a command."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands and return the answers, with ``raise_on_error`` or else with the errors among them."""


class RedisClient(Protocol):
    """One server, or the masters of a cluster."""

    async def __aenter__(self) -> RedisClient: ...

    async def __aexit__(self, *_: Any) -> None: ...

    def execute_command(self, *command: Word) -> Awaitable[Any]:
        """Send a command, whose key is the word after its name, and return the answer."""

    def pipeline(self, transaction: bool = True) -> RedisPipeline:
        """Return what collects commands; a cluster does no transactions."""

    async def aclose(self) -> None:
        """Close all connections."""
