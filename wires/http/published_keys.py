"""The keys that an identity provider publishes as a JSON Web Key Set."""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic
from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread

from ...runtime.errors import NetworkError
from ...runtime.optional import optional
from ...runtime.per_loop import PerLoop

LOOK_SECONDS = 10.0
"""How long the provider may take to answer."""
PAUSE_SECONDS = 1.0
"""How far apart two looks are at least: tokens of keys that nobody has are anybody's to make up."""
FRESH_SECONDS = 300.0
"""How long keys are used without another look."""
PATIENCE_SECONDS = 30.0
"""How long keys are used after a look that failed, before the next one."""
MOST_SECONDS = 3600.0
"""How long keys are used at most while the provider does not answer."""

_READ_SECONDS = 5.0

log = structlog.get_logger(__name__)


class PublishedKeys:
    """Finds keys by their ids, and looks for those that are not known.

    Who shows a token of a known key waits for nobody who shows one of another key, nor for a provider that is away.

    Args:
        url: Where the keys are published.

    Raises:
        MissingExtraError: The extra ``auth`` is not installed.
    """

    def __init__(self, url: str) -> None:
        with optional("JWT authentication", "auth"):
            import jwt
        self._jwt = jwt
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=_READ_SECONDS)
        self._turn = PerLoop(asyncio.Lock)
        self._threads = CapacityLimiter(2)
        self._keys: dict[str, Any] = {}
        self._begun = self._answered = self._found = self._failed = -inf
        self._failure: Exception | None = None

    async def key_of(self, token: str) -> Any | None:
        """Return the key that a token names; None if nobody publishes it.

        Raises:
            NetworkError: It is not known, and the keys cannot be fetched.
            jwt.PyJWTError: The token is malformed.
        """
        key_id = self._jwt.get_unverified_header(token).get("kid")
        if not isinstance(key_id, str):
            return None
        needed_at = monotonic()
        if needed_at - self._found > FRESH_SECONDS:
            await self._renew(needed_at)
        if key_id not in self._keys:
            await self._look(needed_at)
        return self._keys.get(key_id)

    async def _renew(self, needed_at: float) -> None:
        """Look at the keys again. Known ones are used on for a while if that fails."""
        usable = needed_at - self._found < MOST_SECONDS
        if usable and needed_at - self._failed < PATIENCE_SECONDS:
            return
        try:
            await self._look(needed_at)
        except NetworkError:
            if not usable:
                raise
            log.warning("published_keys_not_renewed", error=str(self._failure))

    async def _look(self, needed_at: float) -> None:
        """Fetch the keys, unless a look that was begun after ``needed_at`` has had its answer."""
        async with self._turn.here:
            if self._answered < needed_at:
                await asyncio.sleep(self._begun + PAUSE_SECONDS - monotonic())
                self._begun = monotonic()
                await self._fetch()
                self._answered = self._begun
        if self._failure is not None:
            raise NetworkError("The keys of access tokens cannot be fetched.") from self._failure

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await to_thread.run_sync(
                    self._client.get_signing_keys, abandon_on_cancel=True, limiter=self._threads
                )
        except (self._jwt.PyJWTError, OSError, ValueError, RecursionError) as error:
            self._failed, self._failure = monotonic(), error
        else:
            self._keys = {str(each.key_id): each.key for each in found}
            self._found, self._failure = monotonic(), None
