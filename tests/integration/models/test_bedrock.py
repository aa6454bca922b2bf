"""What holds for Amazon Bedrock alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from copilotkit_runtime.runtime.errors import AuthenticationError, ConfigurationError, CopilotKitError, NetworkError
from copilotkit_runtime.runtime.events import TextMessageContent
from copilotkit_runtime.runtime.messages import ImageMessage, TextMessage, ToolCallMessage, ToolResultMessage
from tests.integration.models.asking import WEATHER, ask, asking, run_of, said
from tests.integration.models.event_stream import exception_frame
from tests.integration.models.vendor import BreakOff, FakeVendor
from tests.integration.models.wires import BedrockWire

pytest.importorskip("langchain_aws")

NAME = "bedrock_converse:amazon.nova-lite-v1:0"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
API_KEY = "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxlMTIzNDU2Nzg5MA=="


@pytest.fixture
def wire() -> BedrockWire:
    return BedrockWire()


@pytest.fixture
def named(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> str:
    """The model by its name, as an operator sets it up."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", vendor.url)
    return NAME


async def test_a_model_by_name_answers(vendor: FakeVendor, wire: BedrockWire, named: str) -> None:
    vendor.streams(*wire.text("Hel", "lo"))
    assert said(await ask(named)) == "Hello"
    [seen] = vendor.requests
    assert seen.path.endswith("/converse-stream")
    assert f"Credential={ACCESS_KEY}/" in seen.headers["authorization"]
    assert "/eu-central-1/bedrock/" in seen.headers["authorization"]


async def test_a_thread_is_put_in_the_words_of_converse(vendor: FakeVendor, wire: BedrockWire) -> None:
    vendor.streams(*wire.text("ok"))
    thread: list[Any] = [
        TextMessage(role="system", content="Be brief."),
        TextMessage(role="user", content="Look at this."),
        ImageMessage(role="user", format="png", bytes="QUJD"),
        TextMessage(id="a", role="assistant", content="Looking."),
        ToolCallMessage(id="c", name="weather", arguments={"place": "Bern"}, parent_message_id="a"),
        ToolResultMessage(tool_call_id="c", tool_name="weather", result="sunny"),
    ]
    await ask(wire.model(vendor.url), run_of(thread, tools=[WEATHER]))
    person, answer, result = vendor.body["messages"]
    assert vendor.body["system"] == [{"text": "Be brief."}]
    assert person["content"] == [{"text": "Look at this."}, {"image": {"format": "png", "source": {"bytes": "QUJD"}}}]
    call = {"toolUseId": "c", "name": "weather", "input": {"place": "Bern"}}
    assert answer["content"] == [{"text": "Looking."}, {"toolUse": call}]
    assert result["content"][0]["toolResult"]["content"] == [{"text": "sunny"}]


STREAM_FAILURES = [
    ("throttlingException", ConfigurationError, 429),
    ("validationException", ConfigurationError, 400),
    ("internalServerException", NetworkError, 500),
    ("serviceUnavailableException", NetworkError, 503),
    ("modelStreamErrorException", NetworkError, 503),
]


@pytest.mark.parametrize(("name", "kind", "status"), STREAM_FAILURES)
async def test_a_failure_in_the_stream_has_the_status_that_its_name_stands_for(
    vendor: FakeVendor, wire: BedrockWire, name: str, kind: type[CopilotKitError], status: int
) -> None:
    vendor.streams(*wire.head("one"), exception_frame(name, "It went wrong"))
    error = await failure(wire.model(vendor.url))
    assert (type(error), error.status_code) == (kind, status)
    assert error.message.endswith("It went wrong")


async def test_a_stream_that_ends_without_an_end_is_a_network_error(vendor: FakeVendor, wire: BedrockWire) -> None:
    vendor.streams(*wire.head("one"))
    assert isinstance(await failure(wire.model(vendor.url)), NetworkError)


async def test_a_message_that_is_cut_short_is_a_network_error(vendor: FakeVendor, wire: BedrockWire) -> None:
    *whole, last = wire.text("one")
    vendor.streams(*whole, last[:20], BreakOff())
    error = await failure(wire.model(vendor.url))
    assert isinstance(error, NetworkError)
    assert error.message == "BedrockConverse API error: Connection error."


async def test_a_message_that_was_garbled_is_a_network_error(vendor: FakeVendor, wire: BedrockWire) -> None:
    first, *rest = wire.text("one")
    vendor.streams(first[:-1] + bytes([first[-1] ^ 1]), *rest)
    error = await failure(wire.model(vendor.url))
    assert isinstance(error, NetworkError)
    assert error.message == "BedrockConverse API error: Connection error."


@pytest.mark.parametrize("secret", [ACCESS_KEY, "ASIAIOSFODNN7EXAMPLE", API_KEY])
async def test_amazons_keys_are_not_revealed(vendor: FakeVendor, wire: BedrockWire, secret: str) -> None:
    vendor.refuses(403, {"message": f"The signature of {secret} does not match."})
    error = await failure(wire.model(vendor.url))
    assert error.message == "BedrockConverse API error: 403 The signature of [redacted] does not match."


async def test_the_name_of_a_refusal_is_not_in_its_text(vendor: FakeVendor, named: str) -> None:
    vendor.refuses(429, {"message": "Too many requests"}, **{"x-amzn-errortype": "ThrottlingException"})
    error = await failure(named)
    assert (type(error), error.status_code) == (ConfigurationError, 429)
    assert error.message == "BedrockConverse API error: 429 Too many requests"


async def test_a_model_without_credentials_is_an_authentication_error(
    named: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    error = await failure(named)
    assert type(error) is AuthenticationError
    assert "credentials" in error.message


async def test_leaving_an_answer_closes_the_stream_at_the_next_token(vendor: FakeVendor, wire: BedrockWire) -> None:
    gate = asyncio.Event()
    vendor.streams(*wire.head("one"), gate, *wire.head("two"), asyncio.Event())
    async with asking(wire.model(vendor.url)) as events:
        async for event in events:
            if isinstance(event, TextMessageContent):
                break
    gate.set()
    async with asyncio.timeout(20):
        await vendor.closed.wait()


async def failure(model: Any) -> CopilotKitError:
    with pytest.raises(CopilotKitError) as raised:
        await ask(model)
    return raised.value
