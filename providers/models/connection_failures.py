"""What stands behind a "connection error": the name, the port, TLS, or a key that no header can carry."""

from __future__ import annotations

import errno
import socket
import ssl

import msgspec

_LIMIT = 8


class ConnectionFailure(msgspec.Struct, frozen=True):
    """A cause in words that give no address away; ``misconfigured`` if trying again cannot help."""

    text: str
    misconfigured: bool = False


BAD_HEADER = ConnectionFailure(
    "The request could not be sent: the API key, or another header, holds a character that HTTP does not allow, such as"
    " a line end. Remove it from the key.",
    misconfigured=True,
)
UNKNOWN_HOST = ConnectionFailure("Connection error. The host name of the base URL could not be resolved.")
REFUSED = ConnectionFailure("Connection error. The connection was refused.")
UNREACHABLE = ConnectionFailure("Connection error. The host cannot be reached.")
NO_TLS = ConnectionFailure(
    "Connection error. The server does not speak TLS at this address: the base URL may have to begin with http://.",
    misconfigured=True,
)
BAD_URL = ConnectionFailure("The base URL is not a URL that can be requested.", misconfigured=True)
CONNECT_TIMEOUT = ConnectionFailure("Request timed out. No connection was made in time.")
READ_TIMEOUT = ConnectionFailure("Request timed out. The vendor sent nothing for too long.")

_NO_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})
_BY_NAME = {
    "UnsupportedProtocol": BAD_URL,
    "InvalidURL": BAD_URL,
    "ConnectTimeout": CONNECT_TIMEOUT,
    "ReadTimeout": READ_TIMEOUT,
}
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})


def causes(error: BaseException) -> list[BaseException]:
    """Return ``error`` and what led to it, nearest first: LangChain wraps SDKs' errors, and SDKs wrap others."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(chain) < _LIMIT and not any(current is known for known in chain):
        chain.append(current)
        grouped = current.exceptions[0] if isinstance(current, BaseExceptionGroup) else None
        current = grouped or current.__cause__ or current.__context__
    return chain


def connection_failure(error: BaseException) -> ConnectionFailure | None:
    """Return why no answer could be had, if that is known of ``error``."""
    return next((known for cause in reversed(causes(error)) if (known := _known(cause)) is not None), None)


def _known(error: BaseException) -> ConnectionFailure | None:
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error)
    if isinstance(error, socket.gaierror):
        return UNKNOWN_HOST
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return UNREACHABLE
    if type(error).__name__ == "LocalProtocolError" and "header" in str(error).lower():
        return BAD_HEADER
    # The library encodes header values as ASCII.
    if isinstance(error, UnicodeEncodeError) and error.encoding == "ascii":
        return BAD_HEADER
    return _BY_NAME.get(type(error).__name__)


def _tls_failure(error: ssl.SSLError) -> ConnectionFailure | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", None) or "verification failed"
        return ConnectionFailure(f"Connection error. The server's TLS certificate was not accepted: {why}.")
    if error.reason in _NO_TLS_REASONS:
        return NO_TLS
    reason = (error.reason or "unknown").replace("_", " ").lower()
    return ConnectionFailure(f"Connection error. The TLS handshake failed: {reason}.")
