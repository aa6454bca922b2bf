from __future__ import annotations

import pytest

from copilotkit_runtime.providers.models.failures import Vendor, vendor_failures
from copilotkit_runtime.providers.models.redaction import redacted
from copilotkit_runtime.providers.models.vendor_errors import BrokenStreamError, VendorError
from copilotkit_runtime.runtime.errors import (
    AuthenticationError,
    ConfigurationError,
    CopilotKitError,
    MisuseError,
    NetworkError,
)


def raised(error: Exception, *secrets: str) -> CopilotKitError:
    with pytest.raises(CopilotKitError) as caught, vendor_failures(Vendor("Vendor", secrets=list(secrets))):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ConfigurationError),
        (401, AuthenticationError),
        (404, ConfigurationError),
        (429, ConfigurationError),
        (500, NetworkError),
        (529, NetworkError),
        (None, NetworkError),
    ],
)
def test_a_status_decides_the_class_and_is_kept(status: int | None, kind: type[CopilotKitError]) -> None:
    error = raised(VendorError("no", status))
    assert type(error) is kind
    assert error.status_code == (status or 503)
    assert error.original_type == "VendorError"
    assert error.extensions["severity"] == "critical"


def test_a_status_that_the_vendor_sends_itself_is_not_repeated() -> None:
    assert raised(VendorError("429 Too many", 429)).message == "Vendor API error: 429 Too many"


@pytest.mark.parametrize("error", [ConnectionRefusedError("no"), TimeoutError(), BrokenStreamError("cut")])
def test_what_breaks_on_the_way_is_a_network_error(error: Exception) -> None:
    assert type(raised(error)) is NetworkError


def test_an_error_without_words_is_reported_in_ours() -> None:
    assert raised(TimeoutError()).message == "Vendor API error: Request timed out."
    assert raised(ConnectionResetError()).message == "Vendor API error: Connection error."


def test_a_status_is_found_beneath_a_wrapper() -> None:
    try:
        raise RuntimeError("Error calling the model") from VendorError("slow down", 429)
    except RuntimeError as wrapper:
        error = raised(wrapper)
    assert (error.status_code, error.message) == (429, "Vendor API error: 429 Error calling the model")


def test_our_own_errors_pass_unchanged() -> None:
    error = MisuseError("mine")
    assert raised(error) is error


def test_what_is_not_a_vendors_failure_passes_unchanged() -> None:
    with pytest.raises(ValueError, match="bug"), vendor_failures(Vendor("Vendor")):
        raise ValueError("bug")


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop",
        "sk-ant-api03-abcdefghijkl",
        "gsk_abcdefghijklmnop",
        "AIzaSyA1234567890abcdefghijklmnopqrs",
        "abcd****************wxyz",
        "Bearer abc.def.ghi",
    ],
)
def test_what_looks_like_a_key_is_taken_out(secret: str) -> None:
    text = redacted(f"Incorrect API key provided: {secret}. See the docs.")
    assert secret.removeprefix("Bearer ") not in text
    assert "[redacted]" in text


def test_a_named_key_is_taken_out_whatever_it_looks_like() -> None:
    assert redacted("bad api_key='hunter2'") == "bad api_key='[redacted]'"


def test_the_key_in_use_is_taken_out() -> None:
    assert (
        raised(VendorError("hunter2 is wrong", 401), "hunter2").message == "Vendor API error: 401 [redacted] is wrong"
    )


def test_plain_words_stay() -> None:
    said = "The model `gpt-9` does not exist or you do not have access to it."
    assert redacted(said) == said


def test_a_long_text_is_cut() -> None:
    assert len(redacted("x" * 5_000)) == 1_000


def test_the_vendors_own_error_is_not_chained_where_its_text_could_be_logged() -> None:
    assert raised(VendorError("sk-proj-abcdefghijklmnop")).__suppress_context__
