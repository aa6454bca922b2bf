"""One hierarchy for everything that goes wrong, and how the contract reports it.

Codes, statuses, visibilities, severities and texts are the TypeScript runtime's (docs/contract.md, sections 7.1
and 7.2, appendix C). An error's ``status_code`` never becomes an HTTP status: application errors are answered with 200.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from .redaction import quoted

_DOCS = "https://docs.copilotkit.ai"
_COMMON_ISSUES = f"{_DOCS}/troubleshooting/common-issues"
_NETWORK_HELP = f"{_COMMON_ISSUES}#i-am-getting-a-network-errors--api-not-found"

UNKNOWN_MESSAGE = "Unknown error occurred"
GUARDRAILS_FAILED = "GUARDRAILS_VALIDATION_FAILED"
DEFAULT_MESSAGE = "An unexpected error occurred. Please check the logs for more details."


class ErrorCode(StrEnum):
    """The codes that the published clients handle."""

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
    """The settings, or the arguments of a call, cannot work."""

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


class MissingVariableError(ConfigurationError):
    """An environment variable that an agent's model needs, most often its API key, is not set.

    Args:
        variable: Its name.
    """

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} is not set, and the agent's model needs it.")
        self.variable = variable


class MissingExtraError(MisuseError):
    """An optional dependency is not installed, or not in a version that works.

    Args:
        feature: What needs it.
        extra: The extra of the distribution that brings it.
        broken: The module that is there but cannot be imported; None if it does not exist.
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
        super().__init__(f"Agent '{quoted(agent_name)}' was not found.{hint}{_see_more(ErrorCode.AGENT_NOT_FOUND)}")
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


class RunHandedOverError(CopilotKitError):
    """The process is about to end, or has lost its right to the run: another one goes on with it."""

    def __init__(self) -> None:
        super().__init__("Another server goes on with this run.", status_code=503)


class RunBrokenOffError(CopilotKitError):
    """The process that executed a run has died, and no other one goes on with it."""

    def __init__(self) -> None:
        super().__init__(
            "The server that executed this run has gone. Its messages until then are kept.", status_code=503
        )


class RunNotExecutedError(CopilotKitError):
    """No worker has taken a run in time."""

    def __init__(self) -> None:
        super().__init__("No server was free to execute this run in time. Please try again.", status_code=503)


class TryLaterError(CopilotKitError):
    """A run cannot be accepted now. ``retry_after`` is the number of seconds to wait before the next try."""

    retry_after = 5

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} Please try again in a moment.", status_code=503)


class ShuttingDownError(TryLaterError):
    """The server is about to end."""

    def __init__(self) -> None:
        super().__init__("The server is shutting down.")


class QueueFullError(TryLaterError):
    """As many runs wait for a worker as may."""

    def __init__(self) -> None:
        super().__init__("Too many runs are waiting.")


class NoWorkerError(TryLaterError):
    """None of the workers is there that could execute a run."""

    def __init__(self) -> None:
        super().__init__("No worker is there that could execute this.")


class ThreadBusyError(CopilotKitError):
    """Another run is going on for this thread and agent, and the policy is not to wait."""

    default_code = ErrorCode.MISUSE


class ThreadLostError(ThreadBusyError):
    """The store was away, or this process stood still, for so long that another run may have this one's place."""

    def __init__(self) -> None:
        super().__init__(
            "This run's place may have gone to another one: for too long, the state store did not answer or the server"
            " stood still."
        )


class UnsupportedMediaError(CopilotKitError):
    """The agent cannot take an attachment of this kind.

    Args:
        kind: What it is: ``image``, ``audio``, ``video`` or ``document``.
        mime_type: Its type.
    """

    default_code = ErrorCode.MISUSE

    def __init__(self, kind: str, mime_type: str) -> None:
        super().__init__(f"This agent cannot take an attachment of the kind '{kind}' ({quoted(mime_type)}).")


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
    """An operation of the state store failed."""
