"""Errors of model vendors, as the page may see them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...runtime.errors import AuthenticationError, ConfigurationError, CopilotKitError, NetworkError

_TEXT_LIMIT = 1_000
_CHAIN_LIMIT = 8
_REDACTED = "[redacted]"
_SECRETS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|sess|ak|pplx|nvapi|key)[-_][\w*.\-]{8,}"
    r"|\bAIza[\w\-]{20,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\bbedrock-api-key-[\w+/=\-]+|\bABSK[\w+/=]{20,}"
    r"|\bBearer\s+[^\s'\",}]+"
    r"|[^\s'\"]*\*{3,}[^\s'\",}]*",
    re.IGNORECASE,
)
_NAMED_SECRETS = re.compile(
    r"((?:api[-_ ]?key|authorization|access[-_ ]?token)(?: provided)?['\"]?\s*[:=]\s*['\"]?)[^\s'\",}]+",
    re.IGNORECASE,
)


class VendorError(Exception):
    """A vendor reported a failure inside a stream that had begun well.

    Args:
        message: What the vendor said.
        status_code: The HTTP status it would have been, if the vendor told.
    """

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class BrokenStreamError(Exception):
    """A vendor's stream stopped before the answer was complete."""


@contextmanager
def vendor_failures(vendor: str, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Raises what goes wrong inside as the runtime's errors.

    Args:
        vendor: Who answers, as a person would call it.
        secrets: Texts, such as the key in use, that must not appear in an error.

    Raises:
        AuthenticationError: The vendor answered 401, or there are no credentials to ask it with.
        ConfigurationError: It answered with another 4xx.
        NetworkError: It answered with 5xx, could not be reached, or broke off.
    """
    try:
        yield
    except CopilotKitError:
        raise
    except Exception as error:
        status = _status_of(error)
        if status is None and not _is_transport(error):
            raise
        raise vendor_error(error, vendor, status, secrets) from None


def vendor_error(error: Exception, vendor: str, status: int | None, secrets: Sequence[str] = ()) -> CopilotKitError:
    """Convert a vendor's error to the contract's (docs/contract.md, section 5), without secrets."""
    text = redacted(_text_of(error), secrets)
    said = f"{status} {text}" if status is not None and not text.startswith(str(status)) else text
    kind = AuthenticationError if status is None and _is_called(error, _NO_CREDENTIALS) else _class_for(status)
    return kind(
        f"{vendor} API error: {said}",
        status_code=status,
        original_type=type(error).__name__,
        extensions={"severity": "critical"},
    )


def redacted(text: str, secrets: Sequence[str] = ()) -> str:
    """``text`` without anything that looks like a key, and without ``secrets``."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, _REDACTED)
    text = _SECRETS.sub(_REDACTED, text)
    return _NAMED_SECRETS.sub(rf"\1{_REDACTED}", text)[:_TEXT_LIMIT]


def _class_for(status: int | None) -> type[CopilotKitError]:
    if status == 401:
        return AuthenticationError
    return NetworkError if status is None or status >= 500 else ConfigurationError


# LangChain's packages wrap their SDK's errors in ones of their own that have no status.
def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(_CHAIN_LIMIT):
        if current is None:
            return
        yield current
        current = current.__cause__


def _status_of(error: BaseException) -> int | None:
    candidates = (value for link in _chain(error) for value in _statuses(link))
    return next((value for value in candidates if _is_status(value)), None)


def _statuses(error: BaseException) -> tuple[Any, ...]:
    response = getattr(error, "response", None)
    named = (getattr(error, name, None) for name in ("status_code", "status", "code"))
    aws = _part(response, "ResponseMetadata").get("HTTPStatusCode")
    return (*named, getattr(response, "status_code", None), aws, _aws_stream_status(response))


# What Amazon reports after a response has begun has a name and no status.
_AWS_STREAM_STATUSES = {
    "validationException": 400,
    "throttlingException": 429,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}


def _aws_stream_status(response: object) -> int | None:
    return _AWS_STREAM_STATUSES.get(str(_part(response, "Error").get("Code")))


def _part(response: object, name: str) -> Mapping[str, Any]:
    part = response.get(name) if isinstance(response, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _is_status(value: object) -> bool:
    return isinstance(value, int) and 400 <= value <= 599


# SDKs bring their own httpx, of one generation or the next, so transport errors are known by name.
# Those whose texts are addresses and the insides of a library are not told.
_UNTOLD = frozenset(
    {
        "ChecksumMismatch",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "HTTPClientError",
        "HTTPError",
        "InvalidHeadersLength",
        "InvalidPayloadLength",
        "ProxyConnectionError",
    }
)
_TRANSPORT_NAMES = _UNTOLD | {"TransportError", "APIConnectionError", "APIError", "ClientError", "BotoCoreError"}
_NO_CREDENTIALS = frozenset(
    {
        "CredentialRetrievalError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "SSOError",
        "TokenRetrievalError",
    }
)


def _is_transport(error: BaseException) -> bool:
    return any(isinstance(link, OSError | BrokenStreamError | VendorError) for link in _chain(error)) or _is_called(
        error, _TRANSPORT_NAMES
    )


def _is_called(error: BaseException, names: frozenset[str]) -> bool:
    return any(not names.isdisjoint(kind.__name__ for kind in type(link).__mro__) for link in _chain(error))


def _text_of(error: Exception) -> str:
    if _is_called(error, _UNTOLD) and _status_of(error) is None:
        return _silent_text(error)
    told = _told(getattr(error, "body", None)) or _part(getattr(error, "response", None), "Error").get("Message")
    return told or str(error) or _silent_text(error)


def _told(body: object) -> str | None:
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    message = inner.get("message") if isinstance(inner, Mapping) else inner
    return message if isinstance(message, str) else None


def _silent_text(error: Exception) -> str:
    return "Request timed out." if "Timeout" in type(error).__name__ else "Connection error."
