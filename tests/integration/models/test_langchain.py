"""What holds for LangChain's models."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_google_genai import ChatGoogleGenerativeAI

from copilotkit_runtime.providers.models import ModelOptions
from copilotkit_runtime.providers.models.call_details import CallDetails
from copilotkit_runtime.providers.models.langchain_chat import LangChainChat
from copilotkit_runtime.providers.models.missing_variables import missing_variable
from copilotkit_runtime.providers.models.prompt import prompt_of
from copilotkit_runtime.providers.models.vendors import Vendors
from copilotkit_runtime.runtime.context import ForwardedParameters
from copilotkit_runtime.runtime.errors import ConfigurationError, CopilotKitError, MisuseError, NetworkError
from copilotkit_runtime.runtime.events import ReasoningMessageContent, TextMessageStart
from copilotkit_runtime.runtime.messages import ImageMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage
from tests.integration.models.asking import HELLO, WEATHER, ask, called, run_of, said
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import LangChainWire


class Scripted(BaseChatModel):
    """A chat model that streams given chunks, and keeps what it was asked."""

    chunks: list[AIMessageChunk]
    asked: list[Any]
    temperature: float | None = None
    num_predict: int | None = None
    takes_tools: bool = True

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        if not self.takes_tools:
            raise NotImplementedError
        return self.bind(tools=tools, **kwargs)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self._keep(messages, kwargs)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("whole"))])

    async def _astream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        self._keep(messages, kwargs)
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk)

    def _keep(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> None:
        settings = {"temperature": self.temperature, "num_predict": self.num_predict}
        self.asked.append({"messages": messages, **settings, **kwargs})


def scripted(*chunks: AIMessageChunk, **fields: Any) -> Scripted:
    return Scripted(chunks=list(chunks), asked=[], **fields)


def piece(**fields: Any) -> AIMessageChunk:
    chunk: Any = {"index": None, "id": None, "name": None, "args": None, **fields}
    return AIMessageChunk("", tool_call_chunks=[chunk])


async def test_messages_of_every_kind_are_mapped() -> None:
    model = scripted(AIMessageChunk("ok"))
    thread: list[Message] = [
        *HELLO,
        TextMessage(id="a", role="assistant", content="Looking."),
        ToolCallMessage(id="c", name="weather", arguments={"place": "Bern"}, parent_message_id="a"),
        ToolResultMessage(tool_call_id="c", tool_name="weather", result="sunny"),
        TextMessage(role="developer", content="Hurry."),
        ImageMessage(role="user", format="png", bytes="QUJD"),
    ]
    await ask(model, run_of(thread))
    system, person, answer, result, later, picture = model.asked[0]["messages"]
    assert (system, person) == (SystemMessage("Be brief."), HumanMessage("Hi"))
    assert (answer.content, answer.tool_calls[0]["args"]) == ("Looking.", {"place": "Bern"})
    assert result == ToolMessage("sunny", tool_call_id="c", name="weather")
    assert later == HumanMessage("THE FOLLOWING MESSAGE IS A SYSTEM MESSAGE: Hurry.")
    assert picture.content == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]


async def test_settings_go_to_the_fields_a_model_has_and_leave_the_given_one_alone() -> None:
    model = scripted(AIMessageChunk("ok"))
    await ask(model, run_of(forwarded=ForwardedParameters(temperature=0, max_tokens=9)))
    assert (model.asked[0]["temperature"], model.asked[0]["num_predict"]) == (0, 9)
    assert (model.temperature, model.num_predict) == (None, None)


CHOICES = {"auto": None, "required": "any", "function": "weather"}


@pytest.mark.parametrize("mode", list(CHOICES))
async def test_a_tool_choice_is_put_in_langchains_words(mode: str) -> None:
    model = scripted(AIMessageChunk("ok"))
    forwarded = ForwardedParameters(tool_choice=mode, tool_choice_function_name="weather")
    await ask(model, run_of(tools=[WEATHER], forwarded=forwarded))
    assert model.asked[0].get("tool_choice") == CHOICES[mode]
    assert model.asked[0]["tools"][0]["function"]["name"] == "weather"


async def test_no_tool_may_be_called_when_none_is_chosen() -> None:
    model = scripted(AIMessageChunk("ok"))
    await ask(model, run_of(tools=[WEATHER], forwarded=ForwardedParameters(tool_choice="none")))
    assert "tools" not in model.asked[0]


async def test_parallel_calls_can_be_switched_off() -> None:
    model = scripted(AIMessageChunk("ok"))
    await ask(model, run_of(tools=[WEATHER]), ModelOptions(parallel_tool_calls=False))
    assert model.asked[0]["parallel_tool_calls"] is False


async def test_a_model_that_takes_no_tools_still_answers() -> None:
    model = scripted(AIMessageChunk("ok"), takes_tools=False)
    assert said(await ask(model, run_of(tools=[WEATHER]))) == "ok"


async def test_calls_that_are_only_named_are_distinguished() -> None:
    chunks = [piece(id="c1", name="weather", args='{"a":'), piece(args="1}"), piece(id="c2", name="weather", args="{}")]
    events = await ask(scripted(*chunks), run_of(tools=[WEATHER]))
    assert called(events) == {"c1": ("weather", '{"a":1}'), "c2": ("weather", "{}")}


async def test_calls_by_number_are_distinguished() -> None:
    chunks = [
        piece(index=0, id="c1", name="weather"),
        piece(index=1, id="c2", name="weather"),
        piece(index=1, args="{}"),
        piece(index=0, args='{"a":1}'),
    ]
    events = await ask(scripted(*chunks), run_of(tools=[WEATHER]))
    assert called(events) == {"c1": ("weather", '{"a":1}'), "c2": ("weather", "{}")}


async def test_a_whole_message_is_an_answer() -> None:
    call = {"name": "weather", "args": {"place": "Bern"}, "id": "c1"}
    answer = AIMessage("Sure.", tool_calls=[call], id="m1")
    events = await ask(RunnableLambda(lambda _: answer))
    assert events[0] == TextMessageStart(message_id="m1")
    assert (said(events), called(events)) == ("Sure.", {"c1": ("weather", '{"place":"Bern"}')})


async def test_a_model_that_cannot_stream_answers_whole() -> None:
    assert said(await ask(scripted(disable_streaming=True))) == "whole"


BLOCKS: list[list[str | dict[str, Any]]] = [
    [{"type": "thinking", "thinking": "hm"}],
    [{"type": "reasoning", "reasoning": "hm"}],
    [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}],
]


@pytest.mark.parametrize("blocks", BLOCKS)
async def test_thoughts_in_blocks_come_apart_from_the_text(blocks: list[str | dict[str, Any]]) -> None:
    chunks = [AIMessageChunk(blocks), AIMessageChunk([{"type": "text", "text": "yes"}]), AIMessageChunk(["!"])]
    events = await ask(scripted(*chunks))
    assert [event.delta for event in events if isinstance(event, ReasoningMessageContent)] == ["hm"]
    assert said(events) == "yes!"


async def test_thoughts_beside_the_text_are_thoughts() -> None:
    aside = AIMessageChunk("", additional_kwargs={"reasoning_content": "hm"})
    events = await ask(scripted(aside, AIMessageChunk("yes")))
    assert [event.delta for event in events if isinstance(event, ReasoningMessageContent)] == ["hm"]


class GoogleStyleError(Exception):
    code = 429


class AwsStyleError(Exception):
    @property
    def response(self) -> dict[str, Any]:
        return {"ResponseMetadata": {"HTTPStatusCode": 503}}


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [(GoogleStyleError("no"), ConfigurationError, 429), (AwsStyleError("no"), NetworkError, 503)],
)
async def test_a_vendors_status_is_found_wherever_it_keeps_it(
    error: Exception, kind: type[Exception], status: int
) -> None:
    with pytest.raises(kind, match="API error") as raised:
        await ask(RunnableLambda(_raising(error)))
    assert raised.value.status_code == status  # type: ignore[attr-defined]


async def test_a_bug_in_a_model_is_not_taken_for_the_vendor() -> None:
    with pytest.raises(ZeroDivisionError):
        await ask(RunnableLambda(_raising(ZeroDivisionError())))


def _raising(error: Exception) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error

    return fail


async def test_a_vendor_of_langchain_s_is_found_by_name(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", vendor.url)
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    vendor.streams(*LangChainWire().text("ok"))
    chat = await Vendors(ModelOptions()).chat("azure_openai:deployed")
    assert isinstance(chat, LangChainChat)
    assert said(await ask(chat.model)) == "ok"
    assert vendor.requests[-1].path == "/openai/deployments/deployed/chat/completions"


VARIABLES = {
    "azure_openai:deployed": "AZURE_OPENAI_API_KEY",
    "bedrock_converse:amazon.nova": "AWS_REGION",
}


@pytest.mark.parametrize("spec", VARIABLES)
async def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spec: str) -> None:
    others = ("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "OPENAI_API_KEY", "AWS_DEFAULT_REGION")
    for name in (*others, *VARIABLES.values()):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=f"^{VARIABLES[spec]} is not set, and the agent's model needs it"):
        await ask(spec)


def test_the_key_that_google_s_package_misses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="API key") as caught:
        ChatGoogleGenerativeAI(model="gemini")
    assert missing_variable(caught.value) == "GOOGLE_API_KEY"


async def test_a_model_that_cannot_be_set_up_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match="could not be set up"):
        await ask("bedrock_converse:amazon.nova")


@pytest.mark.parametrize(
    ("spec", "package", "expected"),
    [
        ("google_genai:gemini", "langchain_google_genai", "copilotkit-runtime-py\\[google\\]"),
        ("deepseek:chat", "langchain_deepseek", "langchain-deepseek"),
    ],
)
async def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, spec: str, package: str, expected: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MisuseError, match=expected):
        await ask(spec)


async def test_an_unknown_vendor_is_a_clear_error() -> None:
    with pytest.raises(MisuseError, match="No vendor is known for the model 'nonsense:x'"):
        await ask("nonsense:x")


async def answer_twice(chunks: list[AIMessageChunk]) -> AIMessage:
    """Lets a model call a tool, and returns the message that it is shown of this in the next turn."""
    model = scripted(*chunks)
    chat, details = LangChainChat(model, ModelOptions()), CallDetails()
    events = [event async for event in chat.answer(prompt_of(run_of(tools=[WEATHER]), details))]
    thread: list[Message] = [*HELLO]
    for call_id, (name, arguments) in called(events).items():
        thread.append(ToolCallMessage(id=call_id, name=name, arguments=json.loads(arguments), parent_message_id="p"))
        thread.append(ToolResultMessage(tool_call_id=call_id, tool_name=name, result="sunny"))
    kept = CallDetails(msgspec.json.decode(msgspec.json.encode(details.added)))
    [_ async for _ in chat.answer(prompt_of(run_of(thread, tools=[WEATHER]), kept))]
    [said] = [message for message in model.asked[-1]["messages"] if isinstance(message, AIMessage)]
    return said


def calling(*ids: str, **fields: Any) -> AIMessageChunk:
    pieces: list[Any] = [
        {"name": "weather", "args": '{"place":"Uri"}', "id": id_, "index": index, "type": "tool_call_chunk"}
        for index, id_ in enumerate(ids)
    ]
    return AIMessageChunk(**{"content": "", **fields}, tool_call_chunks=pieces)


async def test_signed_reasoning_goes_back_with_its_call() -> None:
    pieces = [{"thinking": "I "}, {"thinking": "think"}, {"signature": "c2ln"}]
    thoughts = [AIMessageChunk([{"type": "thinking", "index": 0, **piece}]) for piece in pieces]
    said = await answer_twice([*thoughts, AIMessageChunk([{"type": "text", "text": "x", "index": 1}]), calling("a")])
    assert said.content == [{"type": "thinking", "index": 0, "thinking": "I think", "signature": "c2ln"}]
    assert [call["id"] for call in said.tool_calls] == ["a"]


async def test_signatures_aside_go_back_with_parallel_calls() -> None:
    signatures = {"__gemini_function_call_thought_signatures__": {"a": "c2ln"}}
    said = await answer_twice([calling("a", "b", additional_kwargs=signatures)])
    assert said.additional_kwargs == signatures
    assert [call["id"] for call in said.tool_calls] == ["a", "b"]


async def test_an_answer_without_a_call_keeps_nothing() -> None:
    details = CallDetails()
    chat = LangChainChat(scripted(AIMessageChunk("so", additional_kwargs={"a": 1})), ModelOptions())
    assert said([event async for event in chat.answer(prompt_of(run_of(), details))]) == "so"
    assert details.added == {}


@pytest.mark.parametrize("name", ["finish_reason", "stop_reason", "stopReason"])
@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "refusal", "max_tokens"])
async def test_an_answer_that_is_withheld_is_a_failure(name: str, reason: str) -> None:
    with pytest.raises(CopilotKitError, match=reason):
        await ask(scripted(AIMessageChunk("", response_metadata={name: reason})))


@pytest.mark.parametrize("reason", ["stop", "STOP", "end_turn"])
async def test_an_answer_of_nothing_that_was_meant_is_none(reason: str) -> None:
    assert await ask(scripted(AIMessageChunk("", response_metadata={"finish_reason": reason}))) == []


async def test_halves_of_a_character_are_joined() -> None:
    chunks = [AIMessageChunk(text) for text in ("a\ud83c", "\udf28b", "\ud83c")]
    assert said(await ask(scripted(*chunks))) == "a\U0001f328b\ufffd"
