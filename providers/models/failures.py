"""Errors of model vendors, as the client may see them and as the log has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from ...runtime.errors import AuthenticationError, ConfigurationError, CopilotKitError, NetworkError
from .connection_failures import causes, connection_failure
from .redaction import redacted
from .reported_errors import error_in
from .vendor_errors import BrokenStreamError, NoAnswerError, VendorError

log = structlog.get_logger(__name__)


class Vendor(msgspec.Struct, frozen=True):
    """The vendor that answers.

    Attributes:
        title: The vendor, as errors call it.
        address: Its host, for the log.
        secrets: Texts, such as the key in use, that must not appear in an error.
    """

    title: str
    address: str = ""
    secrets: list[str] = []


@contextmanager
def vendor_failures(vendor: Vendor) -> Iterator[None]:
    """Raise what goes wrong inside as the runtime's errors, and log its causes.

    Args:
        vendor: Who answers.

    Raises:
        AuthenticationError: The vendor answered 401, or no credentials were found.
        ConfigurationError: It answered with another 4xx, or the request could not be sent as it is configured.
        NetworkError: It answered with 5xx, could not be reached, or broke off.
        CopilotKitError: It gave no answer.
    """
    try:
        yield
    except CopilotKitError:
        raise
    except Exception as error:
        status = _status_of(error)
        if status is None and not _is_transport(error):
            raise
        failure = vendor_error(error, vendor, status)
        _log_causes(error, vendor, status)
        raise failure from None


def vendor_error(error: Exception, vendor: Vendor, status: int | None) -> CopilotKitError:
    """Return ``error`` in the contract's words (docs/contract.md, section 5), without secrets."""
    text = redacted(_text_of(error, status), vendor.secrets)
    detail = f"{status} {text}" if status is not None and not text.startswith(str(status)) else text
    return _class_for(error, status)(
        f"{vendor.title} API error: {detail}",
        status_code=status,
        original_type=type(error).__name__,
        extensions={"severity": "critical"},
    )


def _class_for(error: Exception, status: int | None) -> type[CopilotKitError]:
    if status is None:
        if isinstance(error, NoAnswerError):
            return CopilotKitError
        if _is_called(error, _NO_CREDENTIALS):
            return AuthenticationError
        known = connection_failure(error)
        return ConfigurationError if known is not None and known.misconfigured else NetworkError
    if status == 401:
        return AuthenticationError
    return NetworkError if status >= 500 else ConfigurationError


# The client is not shown addresses, nor the insides of a library; whoever runs the server needs both.
def _log_causes(error: Exception, vendor: Vendor, status: int | None) -> None:
    chain = [redacted(f"{type(cause).__name__}: {cause}", vendor.secrets) for cause in causes(error)]
    log.warning("vendor_failed", vendor=vendor.title, address=vendor.address, status=status, causes=chain)


def _status_of(error: BaseException) -> int | None:
    candidates = (value for link in causes(error) for value in _statuses(link))
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
# Those whose texts are addresses and the insides of a library are not shown.
_UNTOLD = frozenset(
    {
        "APIConnectionError",
        "ChecksumMismatch",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "HTTPClientError",
        "HTTPError",
        "InvalidHeadersLength",
        "InvalidPayloadLength",
        "ProxyConnectionError",
        "TransportError",
    }
)
_TRANSPORT_NAMES = _UNTOLD | {"APIError", "ClientError", "BotoCoreError"}
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
    kinds = OSError | BrokenStreamError | NoAnswerError | VendorError
    if any(isinstance(link, kinds) for link in causes(error)) or _is_called(error, _TRANSPORT_NAMES):
        return True
    return connection_failure(error) is not None


def _is_called(error: BaseException, names: frozenset[str]) -> bool:
    return any(not names.isdisjoint(kind.__name__ for kind in type(link).__mro__) for link in causes(error))


def _text_of(error: Exception, status: int | None) -> str:
    if status is None:
        known = connection_failure(error)
        if known is not None:
            return known.text
        if _is_called(error, _UNTOLD):
            return _silent_text(error)
    return _vendor_text(error) or str(error) or _silent_text(error)


def _vendor_text(error: Exception) -> str | None:
    reported = error_in(getattr(error, "body", None))
    if reported is not None:
        return str(reported)
    message = _part(getattr(error, "response", None), "Error").get("Message")
    return message if isinstance(message, str) else None


def _silent_text(error: Exception) -> str:
    return "Request timed out." if "Timeout" in type(error).__name__ else "Connection error."
