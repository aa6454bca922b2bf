"""The log of requests: one line for each that is refused, and if the settings ask for it, one for each."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

import structlog
from starlette.requests import HTTPConnection

from ...runtime.errors import CopilotKitError
from ...runtime.observability.logs import InfoLines, volume_of
from ...runtime.runs.run import Run
from .exchange import Exchange
from .refusal import Refusal

log = structlog.get_logger(__name__)
_info_lines = InfoLines(__name__)

_CLIENT_VERSION = "x-copilotkit-runtime-client-gql-version"
_MOST_CHARACTERS = 200
_FAILED = 500  # what failed has been logged with its stack
_PROBES = ("/health", "/ready", "/metrics")


class RequestLog:
    """Logs the request that is answered in the block. A class, because each open stream is in such a block.

    Args:
        exchange: The request.
        all_requests: Whether those that are served are logged, too.
    """

    __slots__ = ("_all_requests", "_began", "_exchange")

    def __init__(self, exchange: Exchange, *, all_requests: bool) -> None:
        self._exchange = exchange
        self._all_requests = all_requests
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = monotonic()

    def __exit__(self, *_error: object) -> None:
        exchange = self._exchange
        if self._all_requests and _info_lines and not exchange.path.endswith(_PROBES):
            seconds = round(monotonic() - self._began, 3)
            log.info("request", **_place(exchange), **_facts(exchange), seconds=seconds)
        reason = _reason(exchange)
        if reason is not None:
            _log_refusal(_place(exchange), reason, exchange.cause, exchange.headers)


def log_refusal(request: HTTPConnection, refusal: Refusal) -> None:
    """Log the refusal of a request that no wire answers, such as one for metrics."""
    place = {"method": request.scope["method"], "path": request.url.path[:_MOST_CHARACTERS], "status": refusal.status}
    _log_refusal(place, refusal.message, refusal.__cause__, request.headers)


def _log_refusal(place: dict[str, Any], reason: str, cause: BaseException | None, headers: Mapping[str, str]) -> None:
    reasons = {"reason": reason[:_MOST_CHARACTERS], **_cause(cause, reason)}
    log.warning("request_refused", **place, **reasons, **_client(headers))


def _place(exchange: Exchange) -> dict[str, Any]:
    return {"method": exchange.method, "path": exchange.path[:_MOST_CHARACTERS], "status": exchange.status}


def _reason(exchange: Exchange) -> str | None:
    if exchange.status == _FAILED:
        return None
    origin = exchange.foreign_origin
    if origin is not None:
        return f"The origin {origin} is not in cors_origins."
    if exchange.refused is not None:
        return exchange.refused
    return _WORDS.get(exchange.status, "It cannot be answered.") if exchange.status >= 400 else None


def _cause(error: BaseException | None, reason: str) -> dict[str, str]:
    """Return what an error comes from in the end, such as a server that refuses connections; nothing of our own."""
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    text = str(error).partition("\n")[0]
    if error is None or isinstance(error, CopilotKitError | Refusal) or not text or text in reason:
        return {}
    return {"cause": f"{type(error).__name__}: {text}"[:_MOST_CHARACTERS]}


_WORDS = {
    404: "Nothing is served at this path.",
    405: "The path is not served with this method.",
    406: "The client accepts no format of the answer.",
    415: "The body is of a kind that is not read.",
}


def _client(headers: Mapping[str, str]) -> dict[str, str]:
    """Return who asked, as clients that are too old or too new are known by it."""
    named = {"client": headers.get(_CLIENT_VERSION), "user_agent": headers.get("user-agent")}
    return {key: value[:_MOST_CHARACTERS] for key, value in named.items() if value}


def _facts(exchange: Exchange) -> dict[str, Any]:
    """Return what is known of the runs of a request; of several, the last."""
    if not exchange.runs:
        return {}
    handle = exchange.runs[-1]
    run = handle.run
    volume = volume_of(run) if isinstance(run, Run) else {}
    return {"agent": handle.agent_name, "thread_id": handle.thread_id, "run_id": handle.run_id, **volume}
