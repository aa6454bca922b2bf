"""The credentials of a caller, while a stream is open that ends with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from time import time
from typing import Any

from starlette.requests import HTTPConnection

from ...runtime.cancellation import end_tasks
from .admission import Admission
from .client import ClientRequest

RENEWAL_SECONDS = 60.0
"""How often the authenticator is given the request again: a key or a session may have been revoked."""


class Credentials:
    """What one request showed, and for how long it lets its caller in.

    Args:
        admission: Identifies callers.
        request: The request.
        client: Whom it was identified as.
    """

    def __init__(self, admission: Admission, request: HTTPConnection, client: ClientRequest) -> None:
        self._admission = admission
        self._request = request
        self._client = client
        self._expires = _expiry_of(client.claims)

    @asynccontextmanager
    async def ending(self, end: Callable[[], None]) -> AsyncGenerator[None]:
        """Call ``end`` once they let nobody in any longer, as long as the block lasts."""
        if not self._admission.authenticates:
            yield
            return
        lapse = asyncio.create_task(self._lapse())
        lapse.add_done_callback(lambda lapsed: None if lapsed.cancelled() else end())
        try:
            yield
        finally:
            await end_tasks(lapse)

    async def _lapse(self) -> None:
        while True:
            left = RENEWAL_SECONDS if self._expires is None else min(self._expires - time(), RENEWAL_SECONDS)
            if left <= 0:
                return
            await asyncio.sleep(left)
            if not await self._admission.confirm(self._request, self._client):
                return


def _expiry_of(claims: Mapping[str, Any]) -> float | None:
    """Return when a caller's credentials end, in seconds since 1970, if they say so."""
    expires = claims.get("exp")
    return float(expires) if isinstance(expires, int | float) and not isinstance(expires, bool) else None
