"""An answer that comes in pieces at known times, by which a client measures what proxies do to streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..wires.http.admission import Admission
from ..wires.http.refusal import Refusal
from ..wires.http.request_log import log_refusal
from ..wires.http.streaming import UNBUFFERED

PATH = "/stream-check"
PIECES = 5
PAUSE_SECONDS = 0.25


class StreamCheck:
    """Answers as streams of runs are answered, with the same headers; where credentials are needed, so are they here.

    Args:
        admission: Lets requests in, or not.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            client = await self._admission.identify(request)
            await self._admission.charge(client, 1)
        except Refusal as refusal:
            log_refusal(request, refusal)
            return Response(status_code=refusal.status, headers=refusal.headers)
        return StreamingResponse(_pieces(), headers=dict(UNBUFFERED), media_type="text/event-stream")


async def _pieces() -> AsyncIterator[str]:
    for number in range(PIECES):
        if number:
            await asyncio.sleep(PAUSE_SECONDS)
        yield f"data: {number}\n\n"
