"""What holds for OpenAI's protocol, and for the vendors that share it."""

from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.providers.models import ModelOptions
from copilotkit_runtime.runtime.context import ForwardedParameters
from copilotkit_runtime.runtime.errors import ConfigurationError, MissingVariableError, NetworkError
from copilotkit_runtime.runtime.events import ReasoningMessageContent, TextMessageStart, ToolCallEnd, ToolCallStart
from copilotkit_runtime.runtime.messages import ImageMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage
from tests.integration.models.asking import WEATHER, ask, called, run_of, said
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import Called, OpenAIWire, data

openai = pytest.importorskip("openai")

THREAD: list[Message] = [
    TextMessage(id="m1", role="system", content="SYS"),
    TextMessage(id="m2", role="developer", content="DEV"),
    TextMessage(id="m3", role="user", content="q1"),
    TextMessage(id="a1", role="assistant", content="Looking."),
    ToolCallMessage(id="c1", name="weather", arguments={"place": "Zürich"}, parent_message_id="a1"),
    ToolResultMessage(tool_call_id="c1", tool_name="weather", result="sunny"),
    ImageMessage(role="user", format="png", bytes="QUJD"),
]


@pytest.fixture
def wire() -> OpenAIWire:
    return OpenAIWire()


async def test_the_request_is_the_contracts(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(*wire.text("ok"))
    forwarded = ForwardedParameters(
        max_tokens=50, stop=["X"], tool_choice="function", tool_choice_function_name="weather"
    )
    await ask(wire.model_at("api.openai.com", vendor.url), run_of(THREAD, tools=[WEATHER], forwarded=forwarded))
    function = {"name": "weather", "arguments": '{"place":"Zürich"}'}
    assert vendor.body == {
        "model": "gpt-4o",
        "stream": True,
        "messages": [
            {"role": "developer", "content": "SYS"},
            {"role": "developer", "content": "DEV"},
            {"role": "user", "content": "q1"},
            {
                "role": "assistant",
                "content": "Looking.",
                "tool_calls": [{"id": "c1", "type": "function", "function": function}],
            },
            {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}],
            },
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Tells the weather.",
                    "parameters": WEATHER.parameters,
                },
            }
        ],
        "max_completion_tokens": 50,
        "stop": ["X"],
        "stream_options": {"include_usage": True},
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    }


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
async def test_a_tool_choice_by_mode_is_sent_as_it_is(vendor: FakeVendor, wire: OpenAIWire, choice: str) -> None:
    vendor.streams(*wire.text("ok"))
    run = run_of(tools=[WEATHER], forwarded=ForwardedParameters(tool_choice=choice))
    await ask(wire.model(vendor.url), run)
    assert vendor.body["tool_choice"] == choice


async def test_nothing_about_tools_is_sent_without_tools(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(*wire.text("ok"))
    options = ModelOptions(parallel_tool_calls=False)
    await ask(wire.model(vendor.url), run_of(forwarded=ForwardedParameters(tool_choice="required")), options)
    assert set(vendor.body) == {"model", "stream", "messages"}


async def test_parallel_calls_can_be_switched_off(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), run_of(tools=[WEATHER]), ModelOptions(parallel_tool_calls=False))
    assert vendor.body["parallel_tool_calls"] is False


async def test_the_system_role_can_be_kept(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(*wire.text("ok"))
    model = wire.model_at("eu.api.openai.com", vendor.url)
    await ask(model, options=ModelOptions(keep_system_role=True))
    assert vendor.body["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_calls_whose_pieces_come_in_turns_do_not_mix(vendor: FakeVendor, wire: OpenAIWire) -> None:
    pieces = [
        wire.piece(0, "", "call_1", "weather"),
        wire.piece(1, "", "call_2", "weather"),
        wire.piece(0, '{"place":'),
        wire.piece(1, '{"place":'),
        wire.piece(1, '"Rome"}'),
        wire.piece(0, '"Paris"}'),
    ]
    vendor.streams(*wire.head(), *pieces, *wire.tail("tool_calls"))
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    assert {call[1] for call in called(events).values()} == {'{"place":"Paris"}', '{"place":"Rome"}'}
    assert sum(isinstance(event, ToolCallEnd) for event in events) == 2


async def test_whole_calls_under_one_number_are_distinguished_by_id(vendor: FakeVendor, wire: OpenAIWire) -> None:
    pieces = [wire.piece(0, '{"place":"Paris"}', "call_1", "weather"), wire.piece(0, "{}", "call_2", "weather")]
    vendor.streams(*pieces, *wire.tail("tool_calls"))
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    assert called(events) == {"call_1": ("weather", '{"place":"Paris"}'), "call_2": ("weather", "{}")}


async def test_a_call_without_an_id_is_given_one(vendor: FakeVendor, wire: OpenAIWire) -> None:
    nameless = wire.chunk({"tool_calls": [{"function": {"name": "weather", "arguments": {"place": "Oslo"}}}]})
    vendor.streams(nameless, *wire.tail("tool_calls"))
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    [(call_id, call)] = called(events).items()
    assert call_id.startswith("call_")
    assert call == ("weather", '{"place":"Oslo"}')


async def test_text_after_a_call_is_a_message_of_its_own(vendor: FakeVendor, wire: OpenAIWire) -> None:
    calls = wire.calls(Called("call_1", "weather", ("{}",)))
    vendor.streams(*wire.head("before"), *calls, wire.chunk({"content": "after"}), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    opened = [event for event in events if isinstance(event, TextMessageStart | ToolCallStart)]
    ids = [event.message_id for event in opened if isinstance(event, TextMessageStart)]
    assert ids == ["chatcmpl-1", "chatcmpl-1-2"]


async def test_a_refusal_is_sent(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(wire.chunk({"refusal": "I will not."}), *wire.tail())
    assert said(await ask(wire.model(vendor.url))) == "I will not."


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_thoughts_beside_an_empty_text_are_kept(vendor: FakeVendor, wire: OpenAIWire, field: str) -> None:
    vendor.streams(wire.chunk({"content": "", field: "hm"}), wire.chunk({"content": "yes"}), *wire.tail())
    events = await ask(wire.model(vendor.url))
    thoughts = [event.delta for event in events if isinstance(event, ReasoningMessageContent)]
    assert (thoughts, said(events)) == (["hm"], "yes")


async def test_a_last_line_without_an_end_is_read(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(wire.chunk({"content": "yes"}), "data:\n\ndata: [DONE]")
    assert said(await ask(wire.model(vendor.url))) == "yes"


async def test_text_in_parts_is_joined(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(wire.chunk({"content": [{"type": "text", "text": "yes"}]}), *wire.tail())
    assert said(await ask(wire.model(vendor.url))) == "yes"


async def test_chunks_without_choices_and_comments_are_passed_over(vendor: FakeVendor, wire: OpenAIWire) -> None:
    usage = data({"id": "", "choices": [], "usage": {"total_tokens": 3}})
    vendor.streams(": keep-alive\n\n", usage, *wire.head("ok"), *wire.tail()[:1], usage, "data: [DONE]\n\n")
    events = await ask(wire.model(vendor.url))
    assert said(events) == "ok"
    assert isinstance(events[0], TextMessageStart)
    assert events[0].message_id == "chatcmpl-1"


async def test_a_stream_that_ends_early_is_a_network_error(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(*wire.head("one"))
    with pytest.raises(NetworkError, match="ended before the answer was complete"):
        await ask(wire.model(vendor.url))


async def test_a_malformed_chunk_is_a_network_error(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams("data: {nonsense\n\n")
    with pytest.raises(NetworkError, match="malformed"):
        await ask(wire.model(vendor.url))


async def test_a_failure_in_the_stream_keeps_its_status(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(data({"error": {"message": "Slow down", "code": 429}}))
    with pytest.raises(ConfigurationError, match="OpenAI API error: 429 Slow down") as raised:
        await ask(wire.model(vendor.url))
    assert raised.value.status_code == 429


async def test_a_connection_serves_the_next_request_too(vendor: FakeVendor, wire: OpenAIWire) -> None:
    vendor.streams(*wire.text("ok"))
    client, name = wire.model(vendor.url)
    models = {"first": (client, name), "second": (client, name)}
    assert said(await ask(lambda: models["first"])) == "ok"
    assert said(await ask(models["second"])) == "ok"
    assert vendor.requests[0].client == vendor.requests[1].client


VARIABLES = {
    "openai:gpt-4o": {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{url}/v1"},
    "gpt-4o": {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{url}/v1"},
    "groq:llama-3": {"GROQ_API_KEY": "k", "GROQ_BASE_URL": "{url}/v1"},
    "unify": {"UNIFY_API_KEY": "k", "UNIFY_BASE_URL": "{url}/v0/"},
    "ollama:llama3:latest": {"OLLAMA_HOST": "{url}"},
    "azure:deployed": {
        "AZURE_OPENAI_API_KEY": "k",
        "AZURE_OPENAI_ENDPOINT": "{url}",
        "OPENAI_API_VERSION": "2024-10-21",
    },
}
EXPECTED = {
    "openai:gpt-4o": ("/v1/chat/completions", "gpt-4o", "system", "max_tokens"),
    "gpt-4o": ("/v1/chat/completions", "gpt-4o", "system", "max_tokens"),
    "groq:llama-3": ("/v1/chat/completions", "llama-3", "system", "max_tokens"),
    "unify": ("/v0/chat/completions", "gpt-4o@openai", "system", "max_tokens"),
    "ollama:llama3:latest": ("/v1/chat/completions", "llama3:latest", "system", "max_tokens"),
    "azure:deployed": (
        "/openai/deployments/deployed/chat/completions",
        "deployed",
        "developer",
        "max_completion_tokens",
    ),
}


@pytest.mark.parametrize("spec", list(VARIABLES))
async def test_a_vendor_is_found_by_name_and_environment(
    vendor: FakeVendor, wire: OpenAIWire, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    for name, value in VARIABLES[spec].items():
        monkeypatch.setenv(name, value.format(url=vendor.url))
    vendor.streams(*wire.text("ok"))
    assert said(await ask(spec, run_of(forwarded=ForwardedParameters(max_tokens=3)))) == "ok"
    path, model, role, limit = EXPECTED[spec]
    seen: dict[str, Any] = vendor.body
    assert (vendor.requests[-1].path, seen["model"], seen["messages"][0]["role"], seen[limit]) == (path, model, role, 3)


async def test_an_allowed_model_may_be_another_vendors(
    vendor: FakeVendor, wire: OpenAIWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", vendor.url)
    vendor.streams(*wire.text("ok"))
    options = ModelOptions(allowed_models=frozenset({"ollama:small"}))
    forwarded = ForwardedParameters(model="ollama:small")
    assert said(await ask(wire.model("http://127.0.0.1:1"), run_of(forwarded=forwarded), options)) == "ok"
    assert vendor.body["model"] == "small"


KEYS = ("OPENAI_API_KEY", "GROQ_API_KEY", "UNIFY_API_KEY", "AZURE_OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("spec", "present", "variable"),
    [
        ("openai:x", "", "OPENAI_API_KEY"),
        ("groq:x", "OPENAI_API_KEY", "GROQ_API_KEY"),
        ("unify:x", "OPENAI_API_KEY", "UNIFY_API_KEY"),
        ("azure:x", "", "AZURE_OPENAI_API_KEY"),
        ("azure:x", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"),
        ("azure:x", "AZURE_OPENAI_API_KEY OPENAI_API_VERSION", "AZURE_OPENAI_ENDPOINT"),
    ],
)
async def test_a_variable_that_is_not_set_is_named(
    monkeypatch: pytest.MonkeyPatch, spec: str, present: str, variable: str
) -> None:
    for name in (*KEYS, "OPENAI_API_VERSION", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in present.split():
        monkeypatch.setenv(name, "x")
    with pytest.raises(MissingVariableError) as caught:
        await ask(spec)
    assert caught.value.message == f"{variable} is not set, and the agent's model needs it."


@pytest.mark.parametrize(
    ("host", "role", "limit"),
    [
        ("api.openai.com", "developer", "max_completion_tokens"),
        ("us.api.openai.com", "developer", "max_completion_tokens"),
        ("mine.openai.azure.com", "developer", "max_completion_tokens"),
        ("api.deepseek.com", "system", "max_tokens"),
        ("api.mistral.ai", "system", "max_tokens"),
        ("api.openai.com.example.org", "system", "max_tokens"),
        ("notapi.openai.com", "system", "max_tokens"),
        ("127.0.0.1:8000", "system", "max_tokens"),
    ],
)
async def test_the_host_decides_how_instructions_are_sent(
    vendor: FakeVendor, wire: OpenAIWire, host: str, role: str, limit: str
) -> None:
    vendor.streams(*wire.text("ok"))
    run = run_of(THREAD[:3], forwarded=ForwardedParameters(max_tokens=3))
    assert said(await ask(wire.model_at(host, vendor.url), run)) == "ok"
    assert [message["role"] for message in vendor.body["messages"]] == [role, role, "user"]
    assert vendor.body[limit] == 3


@pytest.mark.parametrize("name", ["gpt-5-mini", "openai/o3", "o4-mini"])
async def test_reasoning_models_get_their_limit_under_its_name_anywhere(
    vendor: FakeVendor, wire: OpenAIWire, name: str
) -> None:
    vendor.streams(*wire.text("ok"))
    client, _ = wire.model(vendor.url)
    await ask((client, name), run_of(forwarded=ForwardedParameters(max_tokens=3)))
    assert vendor.body["max_completion_tokens"] == 3
    assert "max_tokens" not in vendor.body


async def test_a_task_of_instructions_alone_is_the_users_for_other_vendors(
    vendor: FakeVendor, wire: OpenAIWire
) -> None:
    vendor.streams(*wire.text("ok"))
    await ask(wire.model(vendor.url), run_of(THREAD[:2], request_type="Task"))
    assert vendor.body["messages"] == [{"role": "user", "content": "SYS\n\nDEV"}]
    await ask(wire.model_at("api.openai.com", vendor.url), run_of(THREAD[:2], request_type="Task"))
    assert [message["role"] for message in vendor.body["messages"]] == ["developer", "developer"]
