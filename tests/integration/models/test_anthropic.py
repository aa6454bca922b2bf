"""What holds for Anthropic's protocol."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from copilotkit_runtime.providers.models import ModelOptions
from copilotkit_runtime.runtime.context import ForwardedParameters
from copilotkit_runtime.runtime.errors import AuthenticationError, ConfigurationError, NetworkError
from copilotkit_runtime.runtime.events import TextMessageStart
from copilotkit_runtime.runtime.messages import ImageMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage
from tests.integration.models.asking import WEATHER, ask, called, run_of, said
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import AnthropicWire, Called

pytest.importorskip("anthropic")


@pytest.fixture
def wire() -> AnthropicWire:
    return AnthropicWire()


def person(text: str) -> Message:
    return TextMessage(role="user", content=text)


def assistant(text: str) -> Message:
    return TextMessage(role="assistant", content=text)


def call(call_id: str, parent: str | None = None) -> Message:
    return ToolCallMessage(id=call_id, name="weather", arguments={"place": "Bern"}, parent_message_id=parent)


def result(call_id: str, text: str = "sunny") -> Message:
    return ToolResultMessage(tool_call_id=call_id, tool_name="weather", result=text)


async def body_for(vendor: FakeVendor, wire: AnthropicWire, *messages: Message, **fields: Any) -> dict[str, Any]:
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), run_of(list(messages), **fields))
    return vendor.body


async def test_the_first_message_is_not_swallowed(vendor: FakeVendor, wire: AnthropicWire) -> None:
    body = await body_for(vendor, wire, person("Hi"))
    assert body == {
        "model": "claude-x",
        "stream": True,
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


async def test_leading_system_texts_are_the_system_prompt(vendor: FakeVendor, wire: AnthropicWire) -> None:
    one, two = TextMessage(role="system", content="One."), TextMessage(role="developer", content="Two.")
    body = await body_for(vendor, wire, one, two, person("Hi"))
    assert body["system"] == "One.\n\nTwo."
    assert len(body["messages"]) == 1


async def test_a_later_system_text_is_sent_under_a_heading(vendor: FakeVendor, wire: AnthropicWire) -> None:
    later = TextMessage(role="system", content="Now in French.")
    body = await body_for(vendor, wire, person("Hi"), assistant("Hello"), later, person("Go on"))
    told = [block["text"] for block in body["messages"][-1]["content"]]
    assert told == ["THE FOLLOWING MESSAGE IS A SYSTEM MESSAGE: Now in French.", "Go on"]


async def test_a_task_of_system_text_alone_is_answered(vendor: FakeVendor, wire: AnthropicWire) -> None:
    body = await body_for(vendor, wire, TextMessage(role="system", content="Do it."), request_type="Task")
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Do it."}]}]
    assert "system" not in body


async def test_the_sides_take_turns_and_the_person_begins(vendor: FakeVendor, wire: AnthropicWire) -> None:
    thread = [assistant("Welcome"), person("a"), person("b"), assistant("c"), assistant("d"), person(" "), person("e")]
    body = await body_for(vendor, wire, *thread)
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))
    assert all(block["text"].strip() for message in body["messages"] for block in message["content"])


async def test_calls_of_one_answer_and_their_results_stand_together(vendor: FakeVendor, wire: AnthropicWire) -> None:
    answer = TextMessage(id="m", role="assistant", content="Both.")
    thread = [person("?"), answer, call("c1", "m"), result("c1"), call("c2", "m"), result("c2", " "), person("so?")]
    body = await body_for(vendor, wire, *thread, tools=[WEATHER])
    use = {"type": "tool_use", "name": "weather", "input": {"place": "Bern"}}
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Both."}, {**use, "id": "c1"}, {**use, "id": "c2"}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "Action completed successfully"},
                {"type": "text", "text": "so?"},
            ],
        },
    ]


async def test_a_history_of_calls_declares_its_tools(vendor: FakeVendor, wire: AnthropicWire) -> None:
    body = await body_for(vendor, wire, person("?"), call("c:1"), result("c:1"), person("so?"))
    assert body["tools"] == [
        {"name": "weather", "description": "", "input_schema": {"type": "object", "properties": {}}}
    ]
    assert body["tool_choice"] == {"type": "none"}
    assert body["messages"][1]["content"][0]["id"] == "c_1"


@pytest.mark.parametrize("kind", ["jpeg", "jpg", "png", "webp", "gif"])
async def test_a_picture_is_shown(vendor: FakeVendor, wire: AnthropicWire, kind: str) -> None:
    body = await body_for(vendor, wire, ImageMessage(role="user", format=kind, bytes="QUJD"))
    media_type = f"image/{kind.replace('jpg', 'jpeg')}"
    source = {"type": "base64", "media_type": media_type, "data": "QUJD"}
    assert body["messages"][0]["content"] == [{"type": "image", "source": source}]


async def test_a_picture_of_another_format_is_refused_clearly(vendor: FakeVendor, wire: AnthropicWire) -> None:
    with pytest.raises(ConfigurationError, match="Unsupported image format: bmp"):
        await body_for(vendor, wire, ImageMessage(role="user", format="bmp", bytes="QUJD"))
    assert vendor.requests == []


CHOICES = {
    "auto": {"type": "auto"},
    "none": {"type": "none"},
    "required": {"type": "any"},
    "function": {"type": "tool", "name": "weather"},
}


@pytest.mark.parametrize("mode", list(CHOICES))
async def test_a_tool_choice_is_put_in_anthropics_words(vendor: FakeVendor, wire: AnthropicWire, mode: str) -> None:
    forwarded = ForwardedParameters(tool_choice=mode, tool_choice_function_name="weather")
    body = await body_for(vendor, wire, person("?"), tools=[WEATHER], forwarded=forwarded)
    assert body["tool_choice"] == CHOICES[mode]
    assert body["tools"][0]["input_schema"] == WEATHER.parameters


async def test_parallel_calls_can_be_switched_off(vendor: FakeVendor, wire: AnthropicWire) -> None:
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), run_of(tools=[WEATHER]), ModelOptions(parallel_tool_calls=False))
    assert vendor.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


async def test_the_prompt_can_be_cached(vendor: FakeVendor, wire: AnthropicWire) -> None:
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), options=ModelOptions(prompt_caching=True))
    marked = {"cache_control": {"type": "ephemeral"}}
    assert vendor.body["system"] == [{"type": "text", "text": "Be brief.", **marked}]
    assert vendor.body["messages"][-1]["content"][-1] == {"type": "text", "text": "Hi", **marked}


@pytest.mark.parametrize(
    "deltas",
    [("<thinking>hm</thinking>yes",), ("<thin", "king>h", "m</think", "ing>", "y", "es"), ("y", "es"), ("ye", "s")],
)
async def test_thoughts_in_the_text_are_left_out(
    vendor: FakeVendor, wire: AnthropicWire, deltas: tuple[str, ...]
) -> None:
    vendor.streams(*wire.text(*deltas))
    assert said(await ask(wire.model(vendor.url))) == "yes"


@pytest.mark.parametrize("deltas", [("<th", "at"), ("<t",), ("<thinkin", "g")])
async def test_text_that_only_begins_like_a_thought_is_kept(
    vendor: FakeVendor, wire: AnthropicWire, deltas: tuple[str, ...]
) -> None:
    vendor.streams(*wire.text(*deltas))
    assert said(await ask(wire.model(vendor.url))) == "".join(deltas)


async def test_several_text_blocks_are_one_message(vendor: FakeVendor, wire: AnthropicWire) -> None:
    blocks = wire.block({"type": "text", "text": ""}, [{"type": "text_delta", "text": " two"}])
    vendor.streams(*wire.head("one"), *blocks, *wire.tail())
    events = await ask(wire.model(vendor.url))
    assert (said(events), sum(isinstance(event, TextMessageStart) for event in events)) == ("one two", 1)


@pytest.mark.parametrize(("told", "expected"), [("sunny", "sunny"), ("", "Task completed successfully.")])
async def test_an_empty_answer_to_a_result_repeats_the_result(
    vendor: FakeVendor, wire: AnthropicWire, told: str, expected: str
) -> None:
    vendor.streams(*wire.head(), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of([person("?"), call("c1"), result("c1", told)], tools=[WEATHER]))
    assert said(events) == expected


async def test_an_empty_answer_to_a_person_stays_empty(vendor: FakeVendor, wire: AnthropicWire) -> None:
    vendor.streams(*wire.head(), *wire.tail())
    assert await ask(wire.model(vendor.url)) == []


async def test_an_answer_of_calls_alone_has_no_text(vendor: FakeVendor, wire: AnthropicWire) -> None:
    vendor.streams(*wire.head(), *wire.calls(Called("toolu_1", "weather", ('{"place":"Bern"}',))), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    assert (said(events), called(events)) == ("", {"toolu_1": ("weather", '{"place":"Bern"}')})


@pytest.mark.parametrize(
    ("kind", "status", "raised"),
    [
        ("overloaded_error", 529, NetworkError),
        ("authentication_error", 401, AuthenticationError),
        ("rate_limit_error", 429, ConfigurationError),
    ],
)
async def test_a_failure_in_the_stream_keeps_its_status(
    vendor: FakeVendor, wire: AnthropicWire, kind: str, status: int, raised: type[Exception]
) -> None:
    error = wire.error("No", kind)["error"]
    vendor.streams(*wire.head(), f'event: error\ndata: {{"type":"error","error":{error}}}\n\n'.replace("'", '"'))
    with pytest.raises(raised) as caught:
        await ask(wire.model(vendor.url))
    assert caught.value.status_code == status  # type: ignore[attr-defined]


async def test_a_stream_that_ends_early_is_a_network_error(vendor: FakeVendor, wire: AnthropicWire) -> None:
    vendor.streams(*wire.head("one"))
    with pytest.raises(NetworkError, match="ended before the answer was complete"):
        await ask(wire.model(vendor.url))


async def test_a_malformed_part_is_a_network_error(vendor: FakeVendor, wire: AnthropicWire) -> None:
    vendor.streams("data: {nonsense\n\n")
    with pytest.raises(NetworkError, match="malformed"):
        await ask(wire.model(vendor.url))


async def test_the_vendor_is_found_by_name_and_environment(
    vendor: FakeVendor, wire: AnthropicWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", vendor.url)
    vendor.streams(*wire.text("ok"))
    assert said(await ask("anthropic:claude-y")) == "ok"
    assert (vendor.requests[-1].path, vendor.body["model"]) == ("/v1/messages", "claude-y")


async def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY is not set, and the agent's model needs it"):
        await ask("anthropic:claude-y")
