"""A trace goes from a browser through a web process and a queue into a worker, with a real exporter in each process."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.parity.servers import PATH, serving
from tests.support.agui_client import run_input, user
from tests.support.polling import until
from tests.support.queued_runtime import web, worker
from tests.support.request_bodies import event, scripted, text
from tests.support.scripted_agent import AGENT

BROWSER = "b7ad6b7169203331"
STEPS = [
    event("TOOL_CALL_START", toolCallId="c-1", toolCallName="search"),
    event("TOOL_CALL_ARGS", toolCallId="c-1", delta="{}"),
    event("TOOL_CALL_END", toolCallId="c-1"),
    event("TOOL_CALL_RESULT", toolCallId="c-1", content="found"),
    *text("a", "hi"),
    event("RUN_USAGE", inputTokens=11, outputTokens=7, model="gpt-4o"),
]


class Span(NamedTuple):
    """A span as a collector gets it."""

    process: str
    name: str
    trace: str
    id: str
    parent: str


class Collector:
    """Takes the spans of all processes, over OTLP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.url = ""

    def take(self, body: bytes) -> None:
        """Take an export."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                self.spans.append(Span(named["service.name"], span.name, *ids))

    async def one(self, trace: str, process: str, name: str) -> Span:
        """Return the span of that name of a process, once it has come."""

        def found() -> list[Span]:
            return [each for each in self.spans if (each.process, each.name, each.trace) == (process, name, trace)]

        async def has_come() -> bool:
            return bool(found())

        await until(has_come, 60)
        (span,) = found()
        return span


@pytest.fixture
def collector() -> Iterator[Collector]:
    taken = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    taken.url = f"http://127.0.0.1:{server.server_port}"
    yield taken
    server.shutdown()
    thread.join()
    server.server_close()


class Wire(NamedTuple):
    """A request that has the scripted agent call a tool and a model."""

    path: str
    route: str
    trace: str
    body: dict[str, Any]


WIRES = (
    Wire("", PATH, "0af7651916cd43dd8448eb211c80319c", scripted(*STEPS, threadId="t-graphql")),
    Wire(
        f"/agent/{AGENT}/run",
        f"{PATH}/{{suffix}}",
        "1bf7651916cd43dd8448eb211c80319d",
        run_input(user(json.dumps(STEPS)), thread="t-agui"),
    ),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)
async def test_one_trace_leads_from_a_browser_to_a_worker_s_tools_and_model_calls(
    url: str, collector: Collector
) -> None:
    exported = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    front, behind = web(url, tracing="true"), worker("tests/parity/app.py:runtime", url, tracing="true", metrics="true")
    for target in (front, behind):
        target.environment.update(exported, OTEL_SERVICE_NAME=target.name)
    with serving(behind) as executing, serving(front) as server:
        async with httpx.AsyncClient(timeout=60) as client:
            for wire in WIRES:
                headers = {"traceparent": f"00-{wire.trace}-{BROWSER}-01"}
                answer = await client.post(f"{server.url}{wire.path}", json=wire.body, headers=headers)
                assert answer.status_code == 200

            async def are_measured() -> bool:
                measured = (await client.get(f"{executing.url.removesuffix(PATH)}/metrics")).text
                waited = seconds(measured, "run_queue_duration_seconds", 'queue="default"')
                ran = seconds(measured, "run_duration_seconds", f'agent="{AGENT}"')
                return waited is not None and ran is not None and ran > 0

            await until(are_measured, 30)  # a moment after a run's last event
        for wire in WIRES:
            await check_trace(collector, wire)


async def check_trace(collector: Collector, wire: Wire) -> None:
    """Check that each step of a run is a child of the one before, in the trace that the browser began."""
    received = await collector.one(wire.trace, "web", f"POST {wire.route}")
    handed_over = await collector.one(wire.trace, "web", "send default")
    run = await collector.one(wire.trace, "worker", "copilotkit.run")
    agent = await collector.one(wire.trace, "worker", f"invoke_agent {AGENT}")
    tool = await collector.one(wire.trace, "worker", "execute_tool search")
    chat = await collector.one(wire.trace, "worker", "chat gpt-4o")
    assert received.parent == BROWSER
    assert handed_over.parent == received.id
    assert run.parent == handed_over.id
    assert agent.parent == run.id
    assert tool.parent == chat.parent == agent.id


def seconds(measured: str, name: str, label: str) -> float | None:
    """Return the sum of a histogram; None until it has a value of each wire."""
    found = {
        part: re.search(rf"^copilotkit_{name}_{part}{{[^}}]*{label}[^}}]*}} (\S+)", measured, re.MULTILINE)
        for part in ("count", "sum")
    }
    count, total = found["count"], found["sum"]
    if count is None or total is None or float(count[1]) != len(WIRES):
        return None
    return float(total[1])
