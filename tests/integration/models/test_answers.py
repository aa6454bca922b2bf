"""What holds for every vendor."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from copilotkit_runtime.providers.models import ModelOptions
from copilotkit_runtime.runtime.context import ForwardedParameters
from copilotkit_runtime.runtime.errors import (
    AuthenticationError,
    ConfigurationError,
    CopilotKitError,
    ErrorCode,
    NetworkError,
)
from copilotkit_runtime.runtime.events import (
    Event,
    ReasoningEnd,
    ReasoningMessageContent,
    TextMessageContent,
    TextMessageEnd,
    TextMessageStart,
    ToolCallEnd,
    ToolCallStart,
)
from tests.integration.models.asking import WEATHER, ask, asking, called, run_of, said
from tests.integration.models.vendor import BreakOff, FakeVendor
from tests.integration.models.wires import KEY, WIRES, BedrockWire, Called, LangChainWire, Wire

PARIS = Called("call_1", "weather", ('{"place":', '"Paris"}'))
ROME = Called("call_2", "weather", ('{"pl', 'ace":"Rome"}'))


async def test_text_streams_under_the_vendors_id(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.text("Hel", "lo", " wörld"))
    events = await ask(wire.model(vendor.url))
    if isinstance(wire, LangChainWire | BedrockWire):
        assert said(events) == "Hello wörld"
        return
    assert events == [
        TextMessageStart(message_id=wire.message_id),
        TextMessageContent(message_id=wire.message_id, delta="Hel"),
        TextMessageContent(message_id=wire.message_id, delta="lo"),
        TextMessageContent(message_id=wire.message_id, delta=" wörld"),
        TextMessageEnd(message_id=wire.message_id),
    ]


async def test_unicode_s_own_separators_are_text(vendor: FakeVendor, wire: Wire) -> None:
    odd = "a\u2028b\x85c\u2029d"
    vendor.streams(*wire.text(odd))
    assert odd in "".join(part if isinstance(part, str) else part.decode(errors="replace") for part in wire.text(odd))
    assert said(await ask(wire.model(vendor.url))) == odd


async def test_each_token_arrives_before_the_next_is_sent(vendor: FakeVendor, wire: Wire) -> None:
    gate = asyncio.Event()
    head = wire.head("one", "two")
    vendor.streams(*head[:-1], gate, head[-1], *wire.tail())
    async with asking(wire.model(vendor.url)) as events:
        async for event in events:
            if isinstance(event, TextMessageContent) and event.delta == "one":
                assert not gate.is_set()
                gate.set()
    assert gate.is_set()


async def test_parallel_tool_calls_keep_their_arguments_apart(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head(), *wire.calls(PARIS, ROME), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    assert called(events) == {
        "call_1": ("weather", '{"place":"Paris"}'),
        "call_2": ("weather", '{"place":"Rome"}'),
    }
    assert [event.tool_call_id for event in events if isinstance(event, ToolCallEnd)] == ["call_1", "call_2"]


async def test_a_call_is_complete_as_soon_as_the_next_begins(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head(), *wire.calls(PARIS, ROME), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    order = [event for event in events if isinstance(event, ToolCallStart | ToolCallEnd)]
    assert [type(event).__name__ for event in order] == ["ToolCallStart", "ToolCallEnd"] * 2


async def test_calls_name_the_answer_as_their_parent_and_follow_its_text(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head("Let me see."), *wire.calls(PARIS), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    text = next(event for event in events if isinstance(event, TextMessageStart))
    call = next(event for event in events if isinstance(event, ToolCallStart))
    end = next(event for event in events if isinstance(event, TextMessageEnd))
    assert call.parent_message_id == text.message_id
    assert events.index(end) < events.index(call)


async def test_a_call_without_arguments_gets_an_empty_object(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head(), *wire.calls(Called("call_1", "weather", ())), *wire.tail())
    events = await ask(wire.model(vendor.url), run_of(tools=[WEATHER]))
    assert called(events) == {"call_1": ("weather", "{}")}


# ChatOpenAI drops what a model thought.
@pytest.mark.parametrize("wire", [name for name in WIRES if name != "langchain"], indirect=True)
async def test_thoughts_come_apart_from_the_text(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head(), *wire.thoughts("I ", "think"), *wire.head("so"), *wire.tail())
    events = await ask(wire.model(vendor.url))
    thoughts = [event.delta for event in events if isinstance(event, ReasoningMessageContent)]
    assert (thoughts, said(events)) == (["I ", "think"], "so")
    assert [type(event) for event in events].index(ReasoningEnd) < [type(event) for event in events].index(
        TextMessageStart
    )


@pytest.mark.parametrize("kind", ["Chat", "Suggestion", "Task", "TextareaCompletion", "TextareaPopover"])
async def test_every_request_type_is_answered(vendor: FakeVendor, wire: Wire, kind: Any) -> None:
    vendor.streams(*wire.text("yes"))
    assert said(await ask(wire.model(vendor.url), run_of(request_type=kind))) == "yes"


async def test_a_suggestion_forces_its_tool(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head(), *wire.calls(PARIS), *wire.tail())
    forced = ForwardedParameters(tool_choice="function", tool_choice_function_name="weather")
    run = run_of(tools=[WEATHER], forwarded=forced, request_type="Suggestion")
    assert called(await ask(wire.model(vendor.url), run))
    assert "weather" in str(wire.choice(vendor.requests[-1]))


async def test_temperature_zero_and_a_token_limit_reach_the_vendor(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.text("ok"))
    forwarded = ForwardedParameters(temperature=0, max_tokens=7, stop=["END"])
    await ask(wire.model(vendor.url), run_of(forwarded=forwarded))
    limits = wire.limits(vendor.requests[-1])
    assert (limits.temperature, limits.stop) == (0, ["END"])
    assert repr(limits.tokens) == "7"


async def test_a_model_that_is_not_allowed_is_passed_over(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.text("ok"))
    options = ModelOptions(allowed_models=frozenset({"small"}))
    await ask(wire.model(vendor.url), run_of(forwarded=ForwardedParameters(model="huge")), options)
    assert wire.asked_model(vendor.requests[-1]) != "huge"


async def test_an_allowed_model_answers_instead(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.text("ok"))
    options = ModelOptions(allowed_models=frozenset({"small"}))
    await ask(wire.model(vendor.url), run_of(forwarded=ForwardedParameters(model="small")), options)
    assert wire.asked_model(vendor.requests[-1]) == "small"


async def test_leaving_an_answer_closes_the_vendors_stream_at_once(vendor: FakeVendor, leavable_wire: Wire) -> None:
    vendor.streams(*leavable_wire.head("one"), asyncio.Event())
    async with asking(leavable_wire.model(vendor.url)) as events:
        async for event in events:
            if isinstance(event, TextMessageContent):
                break
        assert not vendor.closed.is_set()
        await events.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            await vendor.closed.wait()


async def test_cancelling_a_run_closes_the_vendors_stream_at_once(vendor: FakeVendor, leavable_wire: Wire) -> None:
    vendor.streams(*leavable_wire.head("one"), asyncio.Event())
    begun = asyncio.Event()

    async def read() -> None:
        async with asking(leavable_wire.model(vendor.url)) as events:
            async for event in events:
                if isinstance(event, TextMessageContent):
                    begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    async with asyncio.timeout(20):
        await vendor.closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_cancelling_before_the_first_byte_closes_the_request(vendor: FakeVendor, leavable_wire: Wire) -> None:
    vendor.streams(asyncio.Event())
    reading = asyncio.create_task(ask(leavable_wire.model(vendor.url)))
    await vendor.asked.wait()
    reading.cancel()
    async with asyncio.timeout(20):
        await vendor.closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await reading


REFUSALS = [
    (400, ConfigurationError, ErrorCode.CONFIGURATION_ERROR),
    (401, AuthenticationError, ErrorCode.AUTHENTICATION_ERROR),
    (403, ConfigurationError, ErrorCode.CONFIGURATION_ERROR),
    (404, ConfigurationError, ErrorCode.CONFIGURATION_ERROR),
    (429, ConfigurationError, ErrorCode.CONFIGURATION_ERROR),
    (500, NetworkError, ErrorCode.NETWORK_ERROR),
    (503, NetworkError, ErrorCode.NETWORK_ERROR),
]


@pytest.mark.parametrize(("status", "kind", "code"), REFUSALS)
async def test_a_refusal_keeps_its_status_and_hides_the_key(
    vendor: FakeVendor, wire: Wire, status: int, kind: type[CopilotKitError], code: ErrorCode
) -> None:
    vendor.refuses(status, wire.error(f"No good: {KEY} is wrong", "some_error"))
    error = await failure(wire.model(vendor.url))
    assert (type(error), error.status_code, error.code) == (kind, status, code)
    assert error.message.endswith(f" API error: {status} No good: [redacted] is wrong")
    assert KEY not in str(error.extensions) + str(error.details)


async def test_an_unreachable_vendor_is_a_network_error(wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await failure(wire.model(f"http://127.0.0.1:{port}"))
    assert isinstance(error, NetworkError)
    assert error.message.endswith("API error: Connection error. The connection was refused.")


async def test_a_connection_lost_in_the_middle_is_a_network_error(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head("one"), BreakOff())
    seen: list[Event] = []
    assert isinstance(await failure(wire.model(vendor.url), seen), NetworkError)
    assert said(seen) == "one"


async def test_a_failure_reported_in_the_stream_is_raised(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head("one"), *wire.failure("Overloaded"))
    error = await failure(wire.model(vendor.url))
    assert isinstance(error, NetworkError)
    assert "Overloaded" in error.message


async def test_a_vendor_that_falls_silent_ends_the_run(vendor: FakeVendor, wire: Wire) -> None:
    vendor.streams(*wire.head("one"), asyncio.Event())
    model = wire.model(vendor.url)
    if isinstance(model, tuple):
        model = (model[0].with_options(timeout=0.2), model[1])
    error = await failure(model, options=ModelOptions(idle_seconds=0.2))
    assert isinstance(error, NetworkError)
    assert "Timeout" in (error.original_type or "")


async def failure(model: Any, seen: list[Event] | None = None, options: ModelOptions | None = None) -> CopilotKitError:
    with pytest.raises(CopilotKitError) as raised:
        await collect(model, ([] if seen is None else seen).append, options)
    return raised.value


async def collect(model: Any, keep: Callable[[Event], None], options: ModelOptions | None) -> None:
    async with asking(model, options=options) as events:
        async for event in events:
            keep(event)
