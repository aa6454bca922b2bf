"""What the public is shown of an error that is not of the hierarchy: a text that reveals nothing of its own.

Patterns and texts are the TypeScript runtime's (docs/contract.md, section 7.3 and appendix C).
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any

import structlog

from .errors import DEFAULT_MESSAGE, ConfigurationError, CopilotKitError, MissingVariableError, NetworkError
from .redaction import shortened, without_secrets


@dataclass(frozen=True)
class _Canned:
    pattern: str
    text: str


_CANNED = (
    _Canned("401", "Authentication failed. Please check your API keys and ensure they are correctly configured."),
    _Canned(
        "ECONNREFUSED",
        "Connection refused - the agent service is not running or not accessible at the specified address."
        " Please check that your agent is started and listening on the correct port.",
    ),
    _Canned(
        "ENOTFOUND",
        "Host not found - the agent service URL appears to be incorrect or the service is not accessible."
        " Please verify the agent endpoint URL.",
    ),
    _Canned(
        "ETIMEDOUT",
        "Connection timeout - the agent service is taking too long to respond."
        " This could indicate network issues or an overloaded agent service.",
    ),
    _Canned(
        "terminated",
        "Agent agent streaming connection was unexpectedly terminated. This often indicates an error in the agent"
        " service (e.g., authentication failures, missing environment variables, or agent crashes)."
        " Check the agent logs for the root cause.",
    ),
    _Canned(
        "other side closed",
        "The agent service closed the connection unexpectedly. This usually indicates an error in the agent service."
        " Check the agent logs for more details.",
    ),
    _Canned(
        "fetch failed",
        "Failed to connect to the agent service. Please verify the agent is running and the endpoint URL is correct.",
    ),
    _Canned(
        "api key",
        "API key error detected. Please verify your API key is correct and has the necessary permissions.",
    ),
    _Canned("unauthorized", "Unauthorized access. Please check your authentication credentials."),
    _Canned(
        "AuthenticationError",
        "OpenAI authentication failed. Please check your OPENAI_API_KEY environment variable or API key configuration.",
    ),
    _Canned(
        "Incorrect API key provided",
        "OpenAI API key is invalid. Please verify your OPENAI_API_KEY is correct and active.",
    ),
    _Canned(
        "RateLimitError",
        "OpenAI rate limit exceeded. Please wait a moment and try again, or check your OpenAI usage limits.",
    ),
    _Canned(
        "InvalidRequestError",
        "Invalid request to OpenAI API. Please check your request parameters and model configuration.",
    ),
    _Canned(
        "PermissionDeniedError",
        "Permission denied for OpenAI API. Please check your API key permissions and billing status.",
    ),
    _Canned("NotFoundError", "OpenAI resource not found. Please check your model name and availability."),
)
_CANNED_BY_PATTERN = {canned.pattern: canned.text for canned in _CANNED}
_NETWORK_PATTERNS = frozenset(
    {"ECONNREFUSED", "ENOTFOUND", "ETIMEDOUT", "terminated", "other side closed", "fetch failed"}
)
_NETWORK_FALLBACK = (
    "A network error occurred while connecting to the agent service."
    " Please check your connection and ensure the agent service is running."
)
_CONNECTION_FALLBACK = (
    "The connection to the agent service was lost unexpectedly. This may indicate an issue with the agent service."
)
_AUTHENTICATION_FALLBACK = "Authentication failed. Please check your API keys and credentials."
_AUTHENTICATION_WORDS = ("401", "api key", "unauthorized", "authentication")


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain and len(chain) < 8:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


# Python's network errors hold none of Node's words: match their classes (docs/contract.md, appendix C).
_TYPE_PATTERNS: tuple[tuple[tuple[type[BaseException], ...] | tuple[str, ...], str], ...] = (
    ((ConnectionRefusedError,), "ECONNREFUSED"),
    ((socket.gaierror,), "ENOTFOUND"),
    ((TimeoutError,), "ETIMEDOUT"),
    ((ConnectionResetError, BrokenPipeError), "other side closed"),
    (("ConnectError",), "fetch failed"),
    (("RemoteProtocolError", "ReadError"), "terminated"),
    (("ConnectTimeout", "ReadTimeout", "APITimeoutError"), "ETIMEDOUT"),
    (("APIConnectionError",), "fetch failed"),
)


def _pattern_of_type(error: BaseException) -> str | None:
    for cause in reversed(_causes(error)):
        names = {kind.__name__ for kind in type(cause).__mro__}
        for kinds, pattern in _TYPE_PATTERNS:
            if any(isinstance(cause, kind) if isinstance(kind, type) else kind in names for kind in kinds):
                return pattern
    return None


def _pattern_of(error: BaseException) -> str | None:
    by_name = type(error).__name__
    if by_name in _CANNED_BY_PATTERN:
        return by_name
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    haystack = f"{error} {status or ''}"
    matched = next((canned.pattern for canned in _CANNED if canned.pattern in haystack), None)
    return matched or _pattern_of_type(error)


def helpful_message(error: BaseException) -> str:
    """Return a text for the user that reveals nothing of ``error``'s own (docs/contract.md, section 7.3)."""
    pattern = _pattern_of(error)
    if pattern is not None:
        return _CANNED_BY_PATTERN[pattern]
    if (variable := missing_key(error)) is not None:
        return _CANNED_BY_PATTERN["api key"] if "key" in variable.lower() else DEFAULT_MESSAGE
    lowered = str(error).lower()
    if "network" in lowered:
        return _NETWORK_FALLBACK
    if "connection" in lowered:
        return _CONNECTION_FALLBACK
    if any(word in lowered for word in _AUTHENTICATION_WORDS):
        return _AUTHENTICATION_FALLBACK
    return DEFAULT_MESSAGE


def _correlation() -> dict[str, Any]:
    """Return what leads from a hidden error to its log lines, which carry the same id."""
    id_ = structlog.contextvars.get_contextvars().get("correlation_id")
    return {} if id_ is None else {"correlationId": id_}


def to_public_error(error: BaseException, *, shown: bool = False) -> CopilotKitError:
    """Return ``error`` as one of the hierarchy: itself if it is one, else an error that hides its text.

    The names of environment variables are hidden too: they are for developers.

    Args:
        error: The error.
        shown: Whether its class and its text are shown behind the public text, as developers need them.
    """
    if isinstance(error, CopilotKitError) and (shown or not isinstance(error, MissingVariableError)):
        return error
    message = _with_words(helpful_message(error), error) if shown else helpful_message(error)
    kind = _public_class(error)
    replacement = kind(message, original_type=type(error).__name__, extensions=_correlation())
    replacement.__cause__ = error
    return replacement


def _public_class(error: BaseException) -> type[CopilotKitError]:
    if isinstance(error, MissingVariableError):
        return ConfigurationError
    return NetworkError if _pattern_of(error) in _NETWORK_PATTERNS else CopilotKitError


def _with_words(message: str, error: BaseException) -> str:
    key = missing_key(error)
    message = message if key is None else MissingVariableError(key).message
    text = without_secrets(shortened(str(error), _SHOWN_CHARACTERS)).strip()
    hint = " Is an await missing?" if "coroutine" in text else ""
    return f"{message} ({type(error).__name__}: {text}){hint}" if text else f"{message} ({type(error).__name__})"


_SHOWN_CHARACTERS = 600
_KEY_NAME = re.compile(r"\b[A-Z][A-Z0-9_]{1,60}_(?:API_KEY|API_TOKEN|ACCESS_KEY_ID)\b")
_KEY_MISSING = re.compile(
    r"\b(?:must be (?:set|provided)|(?:is )?not set|is required|required for|missing|did not find|not found|no api key"
    r"|please (?:set|add|provide)|could not resolve authentication method|was provided)\b",
    re.IGNORECASE,
)
_KEY_WORDS = ("api_key", "api key", "apikey", "auth_token", "access_key")
_VENDORS_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "google": "GOOGLE_API_KEY"}


def missing_key(error: BaseException) -> str | None:
    """Return the environment variable, most often of an API key, that a model misses; None if it misses none.

    Vendors' libraries have no common error for it, and frameworks wrap theirs: their texts are all there is.
    """
    for cause in _causes(error):
        if isinstance(cause, MissingVariableError):
            return cause.variable
        text = str(cause)[:2_000]
        if isinstance(cause, CopilotKitError) or getattr(cause, "status_code", None) is not None:
            continue  # a service has answered: there was a key
        if _KEY_MISSING.search(text) and any(word in text.lower() for word in _KEY_WORDS):
            named = _KEY_NAME.search(text)
            return named[0] if named is not None else _vendors_key(cause)
    return None


def _vendors_key(error: BaseException) -> str:
    trace, modules = error.__traceback__, [type(error).__module__]
    while trace is not None:
        modules.append(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    roots = (module.partition(".")[0] for module in reversed(modules))
    return next((_VENDORS_KEYS[root] for root in roots if root in _VENDORS_KEYS), "The API key")
