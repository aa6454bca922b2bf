"""What metrics and traces see of a request that is being answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..runs.handle import RunHandle


class ServedRequest(Protocol):
    """A request and how its answer stands."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def route(self) -> str:
        """The path, with a name in braces for what varies."""

    @property
    def path(self) -> str:
        """The path as it was sent."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    @property
    def status(self) -> int:
        """The status of the answer, 0 until it has begun."""

    @property
    def joined(self) -> Sequence[RunHandle]:
        """The runs, started by other requests, whose events the answer has."""

    @property
    def is_probe(self) -> bool:
        """Whether it is a health check, of which one comes every few seconds."""
