"""Traces: spans of requests, runs, agents, tools and model calls, by OpenTelemetry's semantic conventions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from copilotkit_runtime import Action, CopilotRuntime, RuntimeConfig
from tests.support import agui_client as agui
from tests.support.local_server import PATH, client_of
from tests.support.polling import until
from tests.support.request_bodies import event, scripted, text
from tests.support.scripted_agent import AGENT, ScriptedProvider

CALLER = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{CALLER}-b7ad6b7169203331-01"
USAGE = event("RUN_USAGE", inputTokens=11, outputTokens=7, cachedTokens=5, reasoningTokens=2, model="gpt-4o")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What the runtimes of the test record, by the tracer provider of their application."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def runtime_of(store: str = "memory://", **more: Any) -> CopilotRuntime:
    return CopilotRuntime([ScriptedProvider()], store=store, config=RuntimeConfig(tracing=True), **more)


def request_of(wire: str, *steps: dict[str, Any], thread: str = "t") -> dict[str, Any]:
    """A request that has the agent play the steps, over one of the wires."""
    if wire == "GraphQL":
        return {"url": PATH, "json": scripted(*steps, threadId=thread)}
    asked = agui.run_input(agui.user(json.dumps(steps)), thread=thread)
    return {"url": f"{PATH}/agent/{AGENT}/run", "json": asked}


async def named(spans: InMemorySpanExporter, name: str, times: int = 1) -> list[ReadableSpan]:
    """The spans of that name, when there are so many; they end behind the answer."""

    def found() -> list[ReadableSpan]:
        return [span for span in spans.get_finished_spans() if span.name == name]

    async def holds() -> bool:
        return len(found()) >= times

    await until(holds)
    return found()


async def one(spans: InMemorySpanExporter, name: str) -> tuple[ReadableSpan, dict[str, Any]]:
    """The one span of that name, and its attributes."""
    [span] = await named(spans, name)
    return span, dict(span.attributes or {})


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.context.span_id


TOOL = [
    event("TOOL_CALL_START", toolCallId="c-1", toolCallName="search"),
    event("TOOL_CALL_ARGS", toolCallId="c-1", delta="{}"),
    event("TOOL_CALL_END", toolCallId="c-1"),
    {**event("TOOL_CALL_RESULT", toolCallId="c-1", content="found"), "after": 0.05},
]


@pytest.mark.parametrize("wire", ["GraphQL", "AG-UI"])
async def test_a_request_a_run_an_agent_its_tools_and_model_calls_are_one_trace(
    wire: str, spans: InMemorySpanExporter
) -> None:
    request = request_of(wire, *TOOL, *text("a", "hi"), USAGE)
    async with client_of(runtime_of()) as client:
        await client.post(**request, headers={"traceparent": PARENT, "user-agent": "a browser"})
        route = PATH if wire == "GraphQL" else f"{PATH}/{{suffix}}"
        server, http = await one(spans, f"POST {route}")
        run, run_facts = await one(spans, "copilotkit.run")
        agent, facts = await one(spans, f"invoke_agent {AGENT}")
        tool, tool_facts = await one(spans, "execute_tool search")
        chat, chat_facts = await one(spans, "chat gpt-4o")
    assert {format(span.context.trace_id, "032x") for span in spans.get_finished_spans()} == {CALLER}
    assert server.parent is not None
    assert (format(server.parent.span_id, "016x"), server.kind) == ("b7ad6b7169203331", SpanKind.SERVER)
    assert is_child(run, server)
    assert is_child(agent, run)
    assert is_child(tool, agent)
    assert is_child(chat, agent)
    assert http == {
        "http.request.method": "POST",
        "http.route": route,
        "url.path": request["url"],
        "user_agent.original": "a browser",
        "http.response.status_code": 200,
    }
    assert facts["gen_ai.operation.name"] == "invoke_agent"
    assert facts["gen_ai.agent.name"] == run_facts["gen_ai.agent.name"] == AGENT
    assert facts["gen_ai.conversation.id"] == run_facts["gen_ai.conversation.id"] == "t"
    assert (run_facts["copilotkit.outcome"], run_facts["copilotkit.pieces"]) == ("finished", 2)
    assert run_facts["gen_ai.usage.input_tokens"] == chat_facts["gen_ai.usage.input_tokens"] == 11
    assert chat_facts["gen_ai.usage.output_tokens"] == 7
    assert chat_facts["gen_ai.usage.cache_read.input_tokens"] == 5
    assert chat_facts["gen_ai.usage.reasoning.output_tokens"] == 2
    assert chat_facts["gen_ai.operation.name"] == "chat"
    assert chat_facts["gen_ai.provider.name"] == facts["gen_ai.provider.name"] == "scripted"
    assert chat_facts["gen_ai.request.model"] == "gpt-4o"
    assert chat.kind is SpanKind.CLIENT
    assert tool_facts == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": "c-1",
        "gen_ai.tool.type": "function",
    }
    assert tool.end_time is not None
    assert tool.start_time is not None
    assert tool.end_time - tool.start_time >= 40_000_000
    assert chat.start_time is not None
    assert chat.start_time >= tool.end_time
    assert run.instrumentation_scope is not None
    assert run.instrumentation_scope.version == version("copilotkit-runtime-py")


async def test_what_fails_is_marked_without_its_text(spans: InMemorySpanExporter) -> None:
    async with client_of(runtime_of()) as client:
        await client.post(**request_of("GraphQL", *text("a", "hi"), {"raise": "secret sauce"}))
        run, facts = await one(spans, "copilotkit.run")
        agent, agent_facts = await one(spans, f"invoke_agent {AGENT}")
    assert run.status.status_code is agent.status.status_code is StatusCode.ERROR
    assert (facts["copilotkit.outcome"], facts["error.type"]) == ("failed", "ScriptedError")
    assert agent_facts["error.type"] == "ScriptedError"
    assert "secret sauce" not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_server_side_actions_are_tools_and_failed_ones_are_marked(spans: InMemorySpanExporter) -> None:
    async def good() -> str:
        return "done"

    async def bad() -> str:
        raise RuntimeError("secret sauce")

    calls = [
        step
        for name in ("good", "bad", "ofTheClient")
        for step in (
            event("TOOL_CALL_START", toolCallId=name, toolCallName=name),
            event("TOOL_CALL_END", toolCallId=name),
        )
    ]
    actions = [Action("good", "", good), Action("bad", "", bad)]
    async with client_of(runtime_of(actions=actions)) as client:
        await client.post(**request_of("GraphQL", *calls))
        done, done_facts = await one(spans, "execute_tool good")
        failed, failed_facts = await one(spans, "execute_tool bad")
        await one(spans, "copilotkit.run")
    assert (done.status.status_code, done_facts.get("error.type")) == (StatusCode.UNSET, None)
    assert (failed.status.status_code, failed_facts["error.type"]) == (StatusCode.ERROR, "HANDLER_ERROR")
    assert [span.name for span in spans.get_finished_spans() if "ofTheClient" in span.name] == []


async def lines_until(response: httpx.Response, word: str) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        yield line
        if word in line:
            return


async def test_who_joins_a_run_is_linked_to_it_in_the_process_that_runs_it_and_in_others(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/runs.sqlite"
    begun = request_of("AG-UI", *text("a", "first")[:-1], {"hang": True})
    connect = {"url": f"{PATH}/agent/{AGENT}/connect", "json": agui.run_input(thread="t")}
    async with client_of(runtime_of(store)) as here, client_of(runtime_of(store)) as there:
        async with here.stream("POST", **begun) as running:
            assert [line async for line in lines_until(running, "first")]
            for client in (here, there):
                async with client.stream("POST", **connect) as joined:
                    assert [line async for line in lines_until(joined, "first")]
                await named(spans, f"POST {PATH}/{{suffix}}", 1 if client is here else 2)
            await here.post(f"{PATH}/agent/{AGENT}/stop/t")
        [run] = await named(spans, "copilotkit.run")
        requests = await named(spans, f"POST {PATH}/{{suffix}}", 4)
    joining = [span for span in requests if (span.attributes or {})["url.path"] == connect["url"]]
    assert len(joining) == 2
    for span in joining:
        [link] = span.links
        assert (link.context.trace_id, link.context.span_id) == (run.context.trace_id, run.context.span_id)
        assert span.context.trace_id != run.context.trace_id
    assert [span.links for span in requests if span not in joining] == [(), ()]


async def test_probes_leave_no_spans_and_whatever_else_is_sent_leaves_one(spans: InMemorySpanExporter) -> None:
    async with client_of(runtime_of()) as client:
        for path in ("/health", f"{PATH}/health", "/ready"):
            assert (await client.get(path)).status_code == 200
        await client.request("PROPFIND", PATH, headers={"traceparent": "nonsense", "user-agent": "x" * 5_000})
        odd, facts = await one(spans, f"HTTP {PATH}")
        await client.post("/nowhere/" + "y" * 5_000)
        lost = (await named(spans, "POST /{path}"))[0]
    assert (facts["http.request.method"], facts["http.response.status_code"]) == ("_OTHER", 405)
    assert len(facts["user_agent.original"]) <= 200
    assert odd.parent is None
    assert (lost.attributes or {})["http.response.status_code"] == 404
    assert len(str((lost.attributes or {})["url.path"])) <= 200
    assert len(spans.get_finished_spans()) == 2
