"""What a model call cost, and attachments, in each vendor's protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from copilotkit_runtime.providers.models import ModelProvider
from copilotkit_runtime.runtime.errors import UnsupportedMediaError
from copilotkit_runtime.runtime.events import RunUsage
from copilotkit_runtime.runtime.messages import MediaMessage, Message, TextMessage
from tests.integration.models.asking import ask, run_of, said
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import AnthropicWire, OpenAIWire, data

pytest.importorskip("openai")
pytest.importorskip("anthropic")

AUDIO = MediaMessage(role="user", kind="audio", mime_type="audio/wav", data="QUJD")
VIDEO = MediaMessage(role="user", kind="video", mime_type="video/mp4", data="QUJD")
PDF = MediaMessage(role="user", kind="document", mime_type="application/pdf", data="QUJD", filename="a.pdf")
LINK = MediaMessage(role="user", kind="image", mime_type="image/png", url="https://pictures.example/a.png")


def usage(events: list[Any]) -> list[RunUsage]:
    return [event for event in events if isinstance(event, RunUsage)]


def asked_with(*attached: Message) -> Any:
    return run_of([TextMessage(role="user", content="Look"), *attached])


async def test_usage_behind_the_last_choice_counts(vendor: FakeVendor) -> None:
    wire = OpenAIWire()
    reported = {"prompt_tokens": 9, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 1}}
    *text, done = wire.text("ok")
    vendor.streams(*text, data({"id": "x", "model": "gpt-4o-2024", "choices": [], "usage": reported}), done)
    events = await ask(wire.model_at("api.openai.com", vendor.url))
    assert said(events) == "ok"
    assert usage(events) == [RunUsage(input_tokens=9, output_tokens=4, reasoning_tokens=1, model="gpt-4o-2024")]


async def test_usage_with_every_chunk_counts_once(vendor: FakeVendor) -> None:
    wire = OpenAIWire()
    counts = [{"prompt_tokens": 9, "completion_tokens": number} for number in (1, 2)]
    choice = {"index": 0, "delta": {"content": "o"}}
    chunks = [data({"id": "x", "model": "m", "choices": [choice], "usage": one}) for one in counts]
    vendor.streams(*chunks, *wire.tail())
    assert usage(await ask(wire.model(vendor.url))) == [RunUsage(input_tokens=9, output_tokens=2, model="m")]
    assert "stream_options" not in vendor.body


async def test_anthropic_reports_the_input_first_and_the_output_last(vendor: FakeVendor) -> None:
    wire = AnthropicWire()
    head = {"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 7}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "ok"}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
    parts = (head, block, {"type": "content_block_stop", "index": 0}, end, {"type": "message_stop"})
    vendor.streams(*(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n" for part in parts))
    events = await ask(wire.model(vendor.url))
    assert usage(events) == [RunUsage(input_tokens=7, output_tokens=3, model="claude")]


async def test_a_model_that_reports_nothing_has_no_usage(vendor: FakeVendor) -> None:
    wire = OpenAIWire()
    vendor.streams(*wire.text("ok"))
    assert usage(await ask(wire.model(vendor.url))) == []


async def test_openai_gets_attachments_as_its_parts(vendor: FakeVendor) -> None:
    wire = OpenAIWire()
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), asked_with(AUDIO, PDF, LINK))
    sent = [message["content"][0] for message in vendor.body["messages"][1:]]
    assert sent == [
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
    ]


async def test_anthropic_gets_documents_and_links(vendor: FakeVendor) -> None:
    wire = AnthropicWire()
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), asked_with(PDF, LINK))
    [message] = vendor.body["messages"]
    assert message["content"][1:] == [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}},
        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}},
    ]


@pytest.mark.parametrize(
    ("wire", "attached"),
    [
        (OpenAIWire(), VIDEO),
        (OpenAIWire(), MediaMessage(role="user", kind="audio", mime_type="audio/ogg", data="QUJD")),
        (OpenAIWire(), MediaMessage(role="user", kind="audio", mime_type="audio/wav", url="https://a.example/a.wav")),
        (AnthropicWire(), AUDIO),
        (AnthropicWire(), MediaMessage(role="user", kind="document", mime_type="text/csv", data="QUJD")),
    ],
)
async def test_what_a_vendor_s_protocol_cannot_hold_is_refused(
    vendor: FakeVendor, wire: Any, attached: MediaMessage
) -> None:
    vendor.streams(*wire.text("ok"))
    with pytest.raises(UnsupportedMediaError, match=attached.kind):
        await ask(wire.model(vendor.url), asked_with(attached))
    assert vendor.requests == []


async def test_what_was_refused_before_does_not_spoil_the_thread(vendor: FakeVendor) -> None:
    wire = AnthropicWire()
    vendor.streams(*wire.text("ok"))
    past = [AUDIO, TextMessage(role="assistant", content="I cannot hear."), TextMessage(role="user", content="Read")]
    assert said(await ask(wire.model(vendor.url), asked_with(*past))) == "ok"


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("openai:gpt-4o", {"image", "image_url", "audio", "document"}),
        ("claude-sonnet-4", {"image", "image_url", "document"}),
        ("google_genai:gemini-2.5-pro", {"image", "image_url", "audio", "video", "document"}),
        (lambda: "openai:gpt-4o", {"image", "image_url", "audio", "video", "document"}),
    ],
)
def test_a_model_takes_what_its_vendor_s_protocol_takes(model: Any, kinds: set[str]) -> None:
    assert ModelProvider(model).accepts("") == kinds
