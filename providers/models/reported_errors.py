"""Errors in the many forms in which vendors report them, in bodies and in streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .vendor_errors import VendorError

_TEXTS = ("message", "error_message", "error_msg", "errorMessage", "msg", "detail", "status_msg", "reason", "title")
_STATUSES = ("code", "status", "status_code", "statusCode", "error_code", "http_status")
_ERRORS = ("error", "errors", "base_resp", "detail")
_MARKS = ("error_type", "error_message", "error_msg", "error_code", "errorMessage", "status_msg", "msg", "detail")
_BY_TYPE = {
    "authentication_error": 401,
    "badrequesterror": 400,
    "billing_error": 402,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "notfounderror": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "ratelimiterror": 429,
    "request_too_large": 413,
    "api_error": 500,
    "internalservererror": 500,
    "timeout_error": 504,
}
_DEPTH = 4

UNEXPLAINED = "The vendor reported an error."


def error_in(body: object) -> VendorError | None:
    """Return the error that ``body`` reports, or None if it reports none.

    Args:
        body: What came in the place of an answer, or of a part of one: an object, a list of them, or a text.
    """
    if isinstance(body, list):
        return next((found for one in body if (found := error_in(one)) is not None), None)
    if isinstance(body, str):
        return VendorError(body) if body.strip() else None
    return reported(body) if isinstance(body, Mapping) and _reports_error(body) else None


def reported(body: object) -> VendorError:
    """Return ``body``, which is known to report an error, as one."""
    return VendorError(_message(body) or _name(body) or UNEXPLAINED, _status(body))


def _reports_error(body: Mapping[str, Any]) -> bool:
    if body.get("error") or body.get("errors") or body.get("object") == "error" or body.get("type") == "error":
        return True
    if body.get("choices") or body.get("content"):
        return False
    failed = body.get("success") is False or _part(body, "base_resp").get("status_code")
    return bool(failed or any(body.get(mark) for mark in _MARKS) or isinstance(body.get("message"), str))


def _message(body: object, depth: int = 0) -> str | None:
    if isinstance(body, str):
        return _message_in_text(body, depth)
    if isinstance(body, list):
        return next((found for one in body if (found := _message(one, depth + 1))), None)
    if not isinstance(body, Mapping) or depth > _DEPTH:
        return None
    inner = (found for key in _ERRORS if (found := _message(body.get(key), depth + 1)))
    named = (found for key in (*_TEXTS, "text") if (found := _message(body.get(key), depth + 1)))
    return next(inner, None) or next(named, None)


# Gateways pass on the body of the vendor behind them as a text.
def _message_in_text(text: str, depth: int) -> str | None:
    if text.lstrip().startswith(("{", "[")) and depth <= _DEPTH:
        try:
            return _message(msgspec.json.decode(text), depth + 1) or text
        except (msgspec.DecodeError, UnicodeEncodeError):
            return text
    return text.strip() or None


def _name(body: object) -> str | None:
    for part in _parts(body):
        for key in ("type", "error_type", "code", "status", "error_code"):
            value = part.get(key)
            if isinstance(value, str | int) and value not in ("", "error", True, False, 0):
                return str(value)
    return None


def _status(body: object) -> int | None:
    found = (status for part in _parts(body) for key in _STATUSES if (status := _as_status(part.get(key))))
    by_type = (_BY_TYPE.get(str(part.get(key)).lower()) for part in _parts(body) for key in ("type", "error_type"))
    return next(found, None) or next((status for status in by_type if status), None)


def _parts(body: object) -> list[Mapping[str, Any]]:
    if isinstance(body, list):
        return [part for one in body[:1] for part in _parts(one)]
    if not isinstance(body, Mapping):
        return []
    return [part for key in ("error", "errors", "base_resp") for part in _parts(body.get(key))] + [body]


def _part(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = body.get(key)
    return part if isinstance(part, Mapping) else {}


def _as_status(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else None
