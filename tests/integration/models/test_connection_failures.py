"""Vendors that cannot be reached, or refuse: the client and the log learn why, and never the key."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from copilotkit_runtime.providers.models.connection_failures import causes, connection_failure
from copilotkit_runtime.providers.models.failures import Vendor, vendor_failures
from copilotkit_runtime.runtime.errors import ConfigurationError, CopilotKitError, ErrorCode
from tests.integration.models.asking import ask
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import KEY


def openai_client(url: str, key: str = KEY) -> Any:
    openai = pytest.importorskip("openai")
    return (openai.AsyncOpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0), "m")


def anthropic_client(url: str, key: str = KEY) -> Any:
    anthropic = pytest.importorskip("anthropic")
    return (anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0), "m")


@pytest.fixture(params=[openai_client, anthropic_client])
def client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    made: Callable[..., Any] = request.param
    return made


async def failure(model: Any) -> tuple[CopilotKitError, dict[str, Any]]:
    with capture_logs() as logs, pytest.raises(CopilotKitError) as raised:
        await ask(model)
    assert KEY not in str(raised.value) + str(raised.value.details) + str(logs)
    return raised.value, next(entry for entry in logs if entry["event"] == "vendor_failed")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x00"])
async def test_a_key_that_no_header_can_carry_is_named(
    vendor: FakeVendor, client: Callable[..., Any], end: str
) -> None:
    error, entry = await failure(client(vendor.url, KEY + end))
    assert "The request could not be sent: the API key" in error.message
    assert isinstance(error, ConfigurationError)
    assert entry["causes"]
    assert vendor.requests == []


async def test_tls_to_a_server_without_it_is_named(vendor: FakeVendor, client: Callable[..., Any]) -> None:
    error, entry = await failure(client(vendor.url.replace("http:", "https:")))
    assert "does not speak TLS" in error.message
    assert entry["address"] == vendor.url.removeprefix("http://")
    assert "SSL" in str(entry["causes"])


async def test_an_unknown_host_is_named_in_the_log_alone(client: Callable[..., Any]) -> None:
    error, entry = await failure(client("http://there-is-none.invalid"))
    assert error.message.endswith("API error: Connection error. The host name of the base URL could not be resolved.")
    assert error.code is ErrorCode.NETWORK_ERROR
    assert "there-is-none" not in str(error.details)
    assert entry["address"] == "there-is-none.invalid"


async def test_a_base_url_of_another_scheme_is_named(client: Callable[..., Any]) -> None:
    error, _ = await failure(client("ftp://127.0.0.1"))
    assert "The base URL is not a URL that can be requested" in error.message


def raised(error: Exception) -> CopilotKitError:
    wrapper = type("APIConnectionError", (Exception,), {})("Connection error.")
    with pytest.raises(CopilotKitError) as caught, vendor_failures(Vendor("Vendor")):
        raise wrapper from error
    return caught.value


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")
CERTIFICATE.verify_message = "self-signed certificate"
HANDSHAKE = ssl.SSLError(1, "alert")
HANDSHAKE.reason = "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CERTIFICATE, "certificate was not accepted: self-signed certificate"),
        (HANDSHAKE, "TLS handshake failed: tlsv1 alert protocol version"),
        (ConnectionRefusedError(111, "no"), "The connection was refused"),
        (OSError(113, "No route to host"), "The host cannot be reached"),
        (socket.gaierror(-2, "unknown"), "could not be resolved"),
        (UnicodeEncodeError("ascii", "sk-ü", 3, 4, "no"), "holds a character that HTTP does not allow"),
        (ExceptionGroup("all attempts failed", [ConnectionRefusedError(111, "no")]), "The connection was refused"),
        (OSError("10.0.0.7 is odd"), "API error: Connection error."),
    ],
)
def test_a_cause_is_reported_without_its_address(error: Exception, words: str) -> None:
    assert words in raised(error).message
    assert "10.0.0.7" not in raised(error).message


def test_causes_that_go_in_a_circle_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert causes(one) == [one, other]
    assert connection_failure(one) is None
