"""Refusals in the JSON that clients of this wire read."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import structlog

from ...runtime.error_texts import to_public_error
from ...runtime.errors import (
    AuthenticationError,
    CopilotKitError,
    InputTooLargeError,
    MisuseError,
    ThreadNotFoundError,
    TryLaterError,
)
from ...runtime.redaction import quoted
from ...runtime.stores.errors import StoreKeyError, StoreUnavailableError
from ..http.exchange import Exchange
from ..http.refusal import Refusal, busy

log = structlog.get_logger(__name__)

JSON_HEADERS = [("content-type", "application/json"), ("cache-control", "no-store")]

MASKED = "An unexpected error occurred. Please check the logs for more details."

_CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 413: "payload_too_large", 429: "rate_limited"}


class JsonRefusal(Refusal):
    """A refused request whose body is fixed by the protocol.

    Args:
        status: The HTTP status.
        body: The JSON object.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        reason = str(body.get("message") or body.get("error"))
        super().__init__(f"{reason}: {body['details']}" if "details" in body else reason, status, headers=headers)
        self.body = body


def encode_refusal(refusal: Refusal) -> bytes:
    """Encode a refusal: ``{"error": code, "message": text}``, or its own body."""
    if isinstance(refusal, JsonRefusal):
        return msgspec.json.encode(refusal.body)
    code = _CODES.get(refusal.status) or refusal.code.lower()
    message = f"{refusal.message}. {refusal.hint}" if refusal.hint else refusal.message
    return msgspec.json.encode({"error": code, "message": message})


def agent_not_found(agent_id: str) -> JsonRefusal:
    """Refuse a request that names an agent that is not there."""
    return JsonRefusal(404, {"error": "Agent not found", "message": f"Agent '{quoted(agent_id)}' does not exist"})


def invalid_body(details: str) -> JsonRefusal:
    """Refuse a run whose input cannot be read."""
    return JsonRefusal(400, {"error": "Invalid request body", "details": details})


def invalid_request(message: str, status: int = 400) -> JsonRefusal:
    """Refuse an envelope that cannot be read."""
    return JsonRefusal(status, {"error": "invalid_request", "message": message})


def not_found() -> JsonRefusal:
    """Refuse a path, or a thing, that is not there."""
    return JsonRefusal(404, {"error": "Not found"})


def method_not_allowed(allow: str) -> JsonRefusal:
    """Refuse a method that a path does not answer."""
    return JsonRefusal(405, {"error": "Method not allowed"}, headers={"Allow": allow})


def stop_refusal(error: str) -> JsonRefusal:
    """Refuse a stop whose body cannot be read."""
    return JsonRefusal(400, {"error": error})


def thread_not_found() -> JsonRefusal:
    """Refuse a thread that is not there, or not the caller's."""
    return JsonRefusal(404, {"error": "Thread not found", "message": "The thread was not found."})


def run_refusal(error: Exception, *, shown: bool = False) -> Refusal:
    """Refuse a run that cannot begin: a hook's own answer, a known error, or one whose text is not for clients.

    Args:
        error: Why it cannot.
        shown: Whether clients see the class and the text of an unknown error all the same.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ThreadNotFoundError):
        return thread_not_found()
    if isinstance(error, AuthenticationError):
        return Refusal(error.message, 401, error=error)
    if isinstance(error, InputTooLargeError):
        return Refusal(error.message, 413, error=error)
    if isinstance(error, CopilotKitError):
        status = error.status_code if 400 <= error.status_code <= 599 else 500
        status = 503 if isinstance(error, StoreUnavailableError) else status
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:  # which the log of requests leaves out
            log.error("run_not_started", exc_info=error)
        return JsonRefusal(status, {"error": "Failed to run agent", "message": error.message})
    log.error("run_not_started", exc_info=error)
    message = to_public_error(error, shown=True).message if shown else MASKED
    return JsonRefusal(500, {"error": "Failed to run agent", "message": message})


def known_refusal(error: CopilotKitError) -> Refusal:
    """Refuse what failed for a known reason: the text is for clients."""
    match error:
        case StoreKeyError() | MisuseError():
            return Refusal(error.message, 400, error=error)
        case ThreadNotFoundError():
            return thread_not_found()
        case TryLaterError():
            return busy(error, error.retry_after)
        case StoreUnavailableError():
            return Refusal(error.message, 503, code="unavailable", error=error)
    log.error("request_failed", exc_info=error)
    return JsonRefusal(500, {"error": "internal_error", "message": error.message})


async def respond_json(
    exchange: Exchange, body: Any, status: int = 200, headers: list[tuple[str, str]] | None = None
) -> None:
    """Answer with JSON."""
    await exchange.respond(status, msgspec.json.encode(body), [*JSON_HEADERS, *(headers or [])])
