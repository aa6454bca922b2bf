"""The error catalogue: the contract's codes and texts, and nothing of an unexpected error's own."""

from __future__ import annotations

import socket

import httpx
import pytest

from copilotkit_runtime import errors
from copilotkit_runtime.runtime.error_texts import helpful_message, to_public_error
from copilotkit_runtime.runtime.errors import CATALOGUE, DEFAULT_MESSAGE, ErrorCode

TABLE = [
    ("NETWORK_ERROR", 503, "banner", "critical"),
    ("NOT_FOUND", 404, "banner", "critical"),
    ("AGENT_NOT_FOUND", 500, "banner", "critical"),
    ("API_NOT_FOUND", 404, "banner", "critical"),
    ("REMOTE_ENDPOINT_NOT_FOUND", 404, "banner", "critical"),
    ("AUTHENTICATION_ERROR", 401, "banner", "critical"),
    ("MISUSE", 400, "dev_only", "warning"),
    ("UNKNOWN", 500, "toast", "critical"),
    ("CONFIGURATION_ERROR", 400, "banner", "warning"),
    ("MISSING_PUBLIC_API_KEY_ERROR", 400, "banner", "critical"),
    ("UPGRADE_REQUIRED_ERROR", 402, "banner", "warning"),
    ("VERSION_MISMATCH", 400, "dev_only", "info"),
]


@pytest.mark.parametrize(("code", "status", "visibility", "severity"), TABLE)
def test_each_code_has_the_contracts_status_visibility_and_severity(
    code: str, status: int, visibility: str, severity: str
) -> None:
    error = errors.CopilotKitError("m", code=ErrorCode(code))
    assert list(error.extensions)[:6] == ["name", "statusCode", "code", "visibility", "severity", "troubleshootingUrl"]
    assert error.extensions["name"] == "CopilotError"
    assert (error.extensions["statusCode"], error.extensions["code"]) == (status, code)
    assert (error.extensions["visibility"], error.extensions["severity"]) == (visibility, severity)


def test_the_catalogue_is_whole() -> None:
    assert {code for code, *_ in TABLE} == set(CATALOGUE) == set(ErrorCode)


URL = "https://docs.copilotkit.ai/coagents/troubleshooting/common-issues#i-am-getting-agent-not-found-error"
NETWORK_URL = "https://docs.copilotkit.ai/troubleshooting/common-issues#i-am-getting-a-network-errors--api-not-found"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.AgentNotFoundError("x", ["a", "b"]),
            "Agent 'x' was not found. Available agents are: a, b. Please verify the agent name in your configuration"
            f" and ensure it matches one of the available agents.\n\nSee more: [{URL}]({URL})",
        ),
        (
            errors.AgentNotFoundError("x", []),
            f"Agent 'x' was not found. Please set up at least one agent before proceeding. See more: [{URL}]({URL})",
        ),
        (
            errors.ApiNotFoundError("http://h/info"),
            "Failed to find CopilotKit API endpoint at url http://h/info when fetching CopilotKit info.\n\n"
            f"See more: [{NETWORK_URL}]({NETWORK_URL})",
        ),
        (
            errors.ApiNotFoundError(),
            f"Failed to find CopilotKit API endpoint..\n\nSee more: [{NETWORK_URL}]({NETWORK_URL})",
        ),
    ],
)
def test_messages_are_the_contracts(error: errors.CopilotKitError, message: str) -> None:
    assert error.message == message


class AuthenticationError(Exception):
    """As the OpenAI SDK names it."""


@pytest.mark.parametrize(
    ("error", "begins", "code"),
    [
        (RuntimeError("secret at /home/me/x.py"), DEFAULT_MESSAGE, "UNKNOWN"),
        (RuntimeError("Request failed with 401"), "Authentication failed. Please check your API keys", "UNKNOWN"),
        (RuntimeError("connect ECONNREFUSED 1.2.3.4"), "Connection refused - the agent service", "NETWORK_ERROR"),
        (ConnectionRefusedError(111, "refused"), "Connection refused - the agent service", "NETWORK_ERROR"),
        (socket.gaierror(-2, "unknown"), "Host not found - the agent service URL", "NETWORK_ERROR"),
        (TimeoutError(), "Connection timeout - the agent service", "NETWORK_ERROR"),
        (httpx.ConnectError("all attempts"), "Failed to connect to the agent service", "NETWORK_ERROR"),
        (httpx.RemoteProtocolError("peer left"), "Agent agent streaming connection was unexpectedly", "NETWORK_ERROR"),
        (AuthenticationError("no"), "OpenAI authentication failed.", "UNKNOWN"),
        (RuntimeError("Incorrect API key provided: sk-123"), "OpenAI API key is invalid.", "UNKNOWN"),
        (RuntimeError("the network is down"), "A network error occurred", "UNKNOWN"),
        (RuntimeError("lost Connection"), "The connection to the agent service was lost", "UNKNOWN"),
    ],
)
def test_an_unexpected_error_is_reported_in_the_contracts_words(error: Exception, begins: str, code: str) -> None:
    told = to_public_error(error)
    assert told.message.startswith(begins)
    assert told.code == code
    assert told.__cause__ is error
    assert told.original_type == type(error).__name__


def test_the_cause_of_an_error_counts() -> None:
    outer = RuntimeError("agent failed")
    outer.__cause__ = ConnectionRefusedError()
    assert helpful_message(outer).startswith("Connection refused")


def test_a_structured_error_stays_itself() -> None:
    error = errors.MisuseError("Use it well.")
    assert to_public_error(error) is error
    assert error.details["extensions"]["code"] == "MISUSE"


def test_the_status_of_a_remote_party_shows_in_the_details_only() -> None:
    error = errors.AuthenticationError("no", status_code=403)
    assert (error.details["statusCode"], error.extensions["statusCode"]) == (403, 401)


def test_a_missing_extra_is_named() -> None:
    assert "copilotkit-runtime-py[crewai]" in errors.MissingExtraError("The CrewAI provider", "crewai").message


def test_a_developer_who_left_an_await_out_is_asked_about_it() -> None:
    error = NotImplementedError("Unsupported message type: <class 'coroutine'>")
    assert to_public_error(error, shown=True).message.endswith("<class 'coroutine'>) Is an await missing?")
    assert "await" not in to_public_error(error).message
