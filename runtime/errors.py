"""One hierarchy for everything that goes wrong, and how the contract reports it.

Codes, statuses, visibilities, severities and texts are the TypeScript runtime's (docs/contract.md, sections 7.1
and 7.2, appendix C). An error's ``status_code`` never becomes an HTTP status: application errors are answered with 200.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import structlog

from .redaction import shortened, without_secrets

_DOCS = "https://docs.copilotkit.ai"
_COMMON_ISSUES = f"{_DOCS}/troubleshooting/common-issues"
_NETWORK_HELP = f"{_COMMON_ISSUES}#i-am-getting-a-network-errors--api-not-found"

UNKNOWN_MESSAGE = "Unknown error occurred"
GUARDRAILS_FAILED = "GUARDRAILS_VALIDATION_FAILED"
DEFAULT_MESSAGE = "An unexpected error occurred. Please check the logs for more details."


class ErrorCode(StrEnum):
    """The codes that the published clients know."""

    NETWORK_ERROR = "NETWORK_ERROR"
    NOT_FOUND = "NOT_FOUND"
    AGENT_NOT_FOUND = "AGENT_NOT_FOUND"
    API_NOT_FOUND = "API_NOT_FOUND"
    REMOTE_ENDPOINT_NOT_FOUND = "REMOTE_ENDPOINT_NOT_FOUND"
    AUTHENTICATION_ERROR = "AUTHENTICATION_ERROR"
    MISUSE = "MISUSE"
    UNKNOWN = "UNKNOWN"
    CONFIGURATION_ERROR = "CONFIGURATION_ERROR"
    MISSING_PUBLIC_API_KEY_ERROR = "MISSING_PUBLIC_API_KEY_ERROR"
    UPGRADE_REQUIRED_ERROR = "UPGRADE_REQUIRED_ERROR"
    VERSION_MISMATCH = "VERSION_MISMATCH"


@dataclass(frozen=True)
class ErrorRule:
    """How an error of one code is shown."""

    status_code: int
    visibility: str
    severity: str
    troubleshooting_url: str | None = None


CATALOGUE: dict[ErrorCode, ErrorRule] = {
    ErrorCode.NETWORK_ERROR: ErrorRule(503, "banner", "critical", _NETWORK_HELP),
    ErrorCode.NOT_FOUND: ErrorRule(404, "banner", "critical", _NETWORK_HELP),
    ErrorCode.AGENT_NOT_FOUND: ErrorRule(
        500,
        "banner",
        "critical",
        f"{_DOCS}/coagents/troubleshooting/common-issues#i-am-getting-agent-not-found-error",
    ),
    ErrorCode.API_NOT_FOUND: ErrorRule(404, "banner", "critical", _NETWORK_HELP),
    ErrorCode.REMOTE_ENDPOINT_NOT_FOUND: ErrorRule(
        404,
        "banner",
        "critical",
        f"{_COMMON_ISSUES}#i-am-getting-copilotkits-remote-endpoint-not-found-error",
    ),
    ErrorCode.AUTHENTICATION_ERROR: ErrorRule(401, "banner", "critical", f"{_COMMON_ISSUES}#authentication-errors"),
    ErrorCode.MISUSE: ErrorRule(400, "dev_only", "warning"),
    ErrorCode.UNKNOWN: ErrorRule(500, "toast", "critical"),
    ErrorCode.CONFIGURATION_ERROR: ErrorRule(400, "banner", "warning"),
    ErrorCode.MISSING_PUBLIC_API_KEY_ERROR: ErrorRule(400, "banner", "critical"),
    ErrorCode.UPGRADE_REQUIRED_ERROR: ErrorRule(402, "banner", "warning"),
    ErrorCode.VERSION_MISMATCH: ErrorRule(400, "dev_only", "info"),
}


class CopilotKitError(Exception):
    """The root of the hierarchy: an error whose message and code may be shown to the user.

    Args:
        message: What to show.
        code: One of the catalogue's codes.
        status_code: The status that a remote party answered with, if one did; else the catalogue's.
        original_type: The class name of the error that this one stands for.
        extensions: More public facts, added to the contract's own.
    """

    default_code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN

    def __init__(
        self,
        message: str = UNKNOWN_MESSAGE,
        *,
        code: ErrorCode | None = None,
        status_code: int | None = None,
        original_type: str | None = None,
        extensions: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.rule = CATALOGUE[self.code]
        self.status_code = self.rule.status_code if status_code is None else status_code
        self.original_type = original_type
        self.more = extensions or {}

    @property
    def extensions(self) -> dict[str, Any]:
        """The GraphQL error extensions (docs/contract.md, section 7.1)."""
        return {
            "name": "CopilotError",
            "statusCode": self.rule.status_code,
            "code": str(self.code),
            "visibility": self.rule.visibility,
            "severity": self.rule.severity,
            "troubleshootingUrl": self.rule.troubleshooting_url,
            **self.more,
        }

    @property
    def details(self) -> dict[str, Any]:
        """The same, as a failed response status carries it (docs/contract.md, section 2.3)."""
        details = {
            "code": str(self.code),
            "statusCode": self.status_code,
            "severity": self.rule.severity,
            "visibility": self.rule.visibility,
            "originalErrorType": self.original_type,
            "extensions": self.extensions,
        }
        return {key: value for key, value in details.items() if value is not None}


def _see_more(code: ErrorCode) -> str:
    url = CATALOGUE[code].troubleshooting_url
    return f"See more: [{url}]({url})"


class MisuseError(CopilotKitError):
    """The runtime was set up or asked in a way that cannot work."""

    default_code = ErrorCode.MISUSE


class AgentExitedError(CopilotKitError):
    """An agent called ``sys.exit()``, which ends its run and not the server."""

    def __init__(self) -> None:
        super().__init__("The agent tried to end the process that it runs in.")


class InputTooLargeError(CopilotKitError):
    """A client sent more than a run may be given."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status_code=413)


class NoModelError(MisuseError):
    """A request names no agent, and the runtime has no model to answer it."""

    def __init__(self) -> None:
        super().__init__(
            "No model is configured, so only requests that name an agent can be answered. Suggestions, text areas and"
            " tasks need a model: CopilotRuntime(model=...)."
        )


class ConfigurationError(CopilotKitError):
    """A part of the runtime is wrongly configured."""

    default_code = ErrorCode.CONFIGURATION_ERROR


class MissingExtraError(MisuseError):
    """An optional dependency is not installed, or not in a version that works.

    Args:
        feature: What needs it.
        extra: The extra of the distribution that brings it.
        broken: The module that is there but cannot be imported; None if there is no such module.
    """

    def __init__(self, feature: str, extra: str, *, broken: str | None = None) -> None:
        problem = "needs an extra" if broken is None else f"cannot be used: the installed {broken} does not fit"
        install = "pip install" if broken is None else "pip install --upgrade"
        super().__init__(
            f"{feature} {problem}. Install it with: {install} 'copilotkit-runtime-py[{extra}]'"
            f" (in a checkout of the repository: {install} '.[{extra}]')."
        )


class NetworkError(CopilotKitError):
    """A remote party could not be reached, or broke off (the contract's "low level" error)."""

    default_code = ErrorCode.NETWORK_ERROR


class AuthenticationError(CopilotKitError):
    """A remote party did not accept our credentials."""

    default_code = ErrorCode.AUTHENTICATION_ERROR


class AgentNotFoundError(CopilotKitError):
    """No agent has the name that was asked for.

    Args:
        agent_name: The name asked for.
        available: The names there are.
    """

    default_code = ErrorCode.AGENT_NOT_FOUND

    def __init__(self, agent_name: str, available: list[str]) -> None:
        if available:
            hint = (
                f" Available agents are: {', '.join(available)}. Please verify the agent name in your configuration"
                " and ensure it matches one of the available agents.\n\n"
            )
        else:
            hint = " Please set up at least one agent before proceeding. "
        super().__init__(f"Agent '{agent_name}' was not found.{hint}{_see_more(ErrorCode.AGENT_NOT_FOUND)}")
        self.agent_name = agent_name


_DISCOVERY_SUFFIXES = {
    "/info": "when fetching CopilotKit info",
    "/actions/execute": "when attempting to execute actions.",
    "/agents/state": "when attempting to get agent state.",
    "/agents/execute": "when attempting to execute agent(s).",
}


class ApiNotFoundError(CopilotKitError):
    """No CopilotKit endpoint answers at ``url``."""

    default_code = ErrorCode.API_NOT_FOUND

    def __init__(self, url: str | None = None) -> None:
        suffix = next((text for part, text in _DISCOVERY_SUFFIXES.items() if part in (url or "")), "")
        where = f" at url {url} {suffix}" if url else "."
        super().__init__(f"Failed to find CopilotKit API endpoint{where}.\n\n{_see_more(ErrorCode.API_NOT_FOUND)}")


class RemoteEndpointNotFoundError(CopilotKitError):
    """No remote endpoint answers at ``url``."""

    default_code = ErrorCode.REMOTE_ENDPOINT_NOT_FOUND

    def __init__(self, url: str) -> None:
        more = _see_more(ErrorCode.REMOTE_ENDPOINT_NOT_FOUND)
        super().__init__(f"Failed to find or contact remote endpoint at url {url}.\n\n{more}")


class RunTimeoutError(CopilotKitError):
    """A run, or a step of one, took longer than it may.

    Args:
        seconds: The limit it ran into.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The agent did not finish within {seconds:g} seconds.", original_type="TimeoutError")


class ThreadNotFoundError(CopilotKitError):
    """The thread is not there, or not the caller's."""

    default_code = ErrorCode.NOT_FOUND

    def __init__(self) -> None:
        super().__init__("The thread was not found.")


class ShuttingDownError(CopilotKitError):
    """The server is about to end."""

    def __init__(self) -> None:
        super().__init__("The server is shutting down. Please try again.", status_code=503)


class RunHandedOverError(CopilotKitError):
    """The server is about to end, and another process goes on with the run."""

    def __init__(self) -> None:
        super().__init__("The server is shutting down. Another one goes on with this run.", status_code=503)


class QueueFullError(CopilotKitError):
    """As many runs wait for a worker as may. ``retry_after`` says after how many seconds to ask again."""

    def __init__(self) -> None:
        super().__init__("Too many runs are waiting. Please try again in a moment.", status_code=503)
        self.retry_after = 5


class ThreadBusyError(CopilotKitError):
    """Another run is going on for this thread and agent, and the policy is not to wait."""

    default_code = ErrorCode.MISUSE


class UnsupportedMediaError(CopilotKitError):
    """The agent cannot take an attachment of this kind.

    Args:
        kind: What it is: ``image``, ``audio``, ``video`` or ``document``.
        mime_type: Its type.
    """

    default_code = ErrorCode.MISUSE

    def __init__(self, kind: str, mime_type: str) -> None:
        super().__init__(f"This agent cannot take an attachment of the kind '{kind}' ({mime_type[:100]}).")


class ActionError(CopilotKitError):
    """A server-side action failed; the model, and so the user, may read its message.

    Raise it in a handler to have its text shown: other exceptions' texts are not.
    """

    result_code: ClassVar[str] = "HANDLER_ERROR"


class InvalidArgumentsError(ActionError):
    """What a model or agent calls an action with does not fit its parameters."""

    result_code: ClassVar[str] = "INVALID_ARGUMENTS"


class GuardrailsDeniedError(CopilotKitError):
    """The guardrails do not let a request, or an answer, pass. Its message is the reason."""


class ProtocolError(CopilotKitError):
    """A provider's events break the rules of a run's stream."""


class StoreError(CopilotKitError):
    """A state store could not do what it was asked."""


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
    if missing_key(error) is not None:
        return _CANNED_BY_PATTERN["api key"]
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
    known = structlog.contextvars.get_contextvars().get("correlation_id")
    return {} if known is None else {"correlationId": known}


def to_public_error(error: BaseException, *, shown: bool = False) -> CopilotKitError:
    """Return ``error`` as one of the hierarchy: itself if it is one, else an error that hides what it said.

    Args:
        error: The error.
        shown: Whether its class and its text are shown behind the public text, as developers need them.
    """
    if isinstance(error, CopilotKitError):
        return error
    kind = NetworkError if _pattern_of(error) in _NETWORK_PATTERNS else CopilotKitError
    message = _with_words(helpful_message(error), error) if shown else helpful_message(error)
    replacement = kind(message, original_type=type(error).__name__, extensions=_correlation())
    replacement.__cause__ = error
    return replacement


def _with_words(message: str, error: BaseException) -> str:
    key = missing_key(error)
    message = message if key is None else f"{key} is not set, and the agent's model needs it."
    text = without_secrets(shortened(str(error), _SHOWN_CHARACTERS)).strip()
    return f"{message} ({type(error).__name__}: {text})" if text else f"{message} ({type(error).__name__})"


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
    """Return the environment variable of the API key that a vendor's library misses; None if it misses none.

    Vendors' libraries have no common error for it, and frameworks wrap theirs: their texts are all there is.
    """
    for cause in _causes(error):
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
