"""Readiness of the runtime: its store, providers and rate limiter."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from ..runtime.per_loop import PerLoop
from ..runtime.repeated_failures import RepeatedFailures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ..runtime.service import RuntimeService

log = structlog.get_logger(__name__)

CHECK_SECONDS = 3.0
FRESH_SECONDS = 1.0


class Readiness(msgspec.Struct, kw_only=True, frozen=True):
    """The result: ``checks`` is ``ok`` or ``failed`` for each check."""

    ready: bool
    checks: dict[str, str]


class ReadinessCheck:
    """Checks that the store and the providers answer; a second call at once gets the same result.

    Args:
        service: The runtime's service.
        others: What else must answer, by name.
        store_failed: Called whenever the store does not.
    """

    def __init__(
        self,
        service: RuntimeService,
        others: Mapping[str, Callable[[], Awaitable[Any]]],
        store_failed: Callable[[], None],
    ) -> None:
        self._service = service
        self._others = others
        self._store_failed = store_failed
        self._asking = PerLoop(asyncio.Lock)
        self._known: Readiness | None = None
        self._known_until = 0.0
        self._failures = RepeatedFailures()

    async def check(self) -> Readiness:
        """Return what is found now, or was a moment ago."""
        if self._service.draining:
            return Readiness(ready=False, checks={"runtime": "shutting down"})
        async with self._asking.here:
            if self._known is None or monotonic() >= self._known_until:
                self._known = await self._ask()
                self._known_until = monotonic() + FRESH_SECONDS
            return self._known

    async def _ask(self) -> Readiness:
        pending: dict[str, Awaitable[Any]] = {"store": self._service.store.health()}
        pending |= {name: check() for name, check in self._others.items()}
        pending |= {f"provider {p.name}": p.list_agents() for p in self._service.registry.all()}
        answers = await asyncio.gather(*(self._answers(name, question) for name, question in pending.items()))
        if not answers[0]:
            self._store_failed()
        checks = {name: "ok" if answer else "failed" for name, answer in zip(pending, answers, strict=True)}
        return Readiness(ready=all(answers), checks=checks)

    async def _answers(self, name: str, question: Awaitable[Any]) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await question
        except Exception as error:  # whatever a provider raises, it is not ready
            if self._failures.is_news(name, error):
                log.exception("not_ready", check=name)
            return False
        if self._failures.are_over(name):
            log.info("ready_again", check=name)
        return True
