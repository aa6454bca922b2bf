"""The endpoints that machines watch: readiness and metrics."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..runtime.observability.metrics import RuntimeMetrics
from ..wires.http.admission import Admission
from ..wires.http.refusal import Refusal
from ..wires.http.request_log import log_refusal
from .readiness import ReadinessCheck

_UNCACHED = {"cache-control": "no-store"}


class ReadyProbe:
    """Answers 200 when the store and all providers do, else 503.

    Args:
        check: What to call.
    """

    def __init__(self, check: ReadinessCheck) -> None:
        self._check = check

    async def answer(self, _request: Request) -> Response:
        """Answer one request."""
        found = await self._check.check()
        body = msgspec.json.encode(found)
        return Response(body, 200 if found.ready else 503, _UNCACHED, "application/json")


class MetricsPage:
    """Answers with all metrics; where credentials are needed, they are needed here too.

    Args:
        metrics: The metrics.
        admission: Lets requests in, or not.
    """

    def __init__(self, metrics: RuntimeMetrics, admission: Admission) -> None:
        self._metrics = metrics
        self._admission = admission

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            await self._admission.identify(request)
        except Refusal as refusal:
            log_refusal(request, refusal)
            return Response(status_code=refusal.status, headers=refusal.headers)
        body, content_type = self._metrics.page()
        return Response(body, 200, {**_UNCACHED, "content-type": content_type})
