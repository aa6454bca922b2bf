"""Metrics, traces, readiness, correlation."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from copilotkit_runtime import AgentDescriptor, CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime.config import EMULATED_VERSION
from copilotkit_runtime.runtime.observability.metrics import RuntimeMetrics
from copilotkit_runtime.runtime.stores.errors import StoreConflictError, StoreUnavailableError
from copilotkit_runtime.server import readiness
from tests.integration.server.process import Running, running
from tests.integration.stores.servers import RedisServer
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support import agui_client as agui
from tests.support.local_server import PATH, client_of
from tests.support.polling import until
from tests.support.request_bodies import event, generate, scripted, text, text_message
from tests.support.scripted_agent import ScriptedProvider


def metric(page: str, name: str) -> float:
    return next(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


async def page_with(http: httpx.AsyncClient, server: Running, name: str, value: float) -> str:
    """The page of metrics once that one has the value: some are counted when an answer has been read."""
    pages: list[str] = []

    async def holds() -> bool:
        pages.append((await http.get(f"{server.origin}/metrics")).text)
        return any(line.startswith(name) for line in pages[-1].splitlines()) and metric(pages[-1], name) == value

    await until(holds)
    return pages[-1]


BLOCKED = "copilotkit_event_loop_blocked_total"
USAGE = event("RUN_USAGE", inputTokens=11, outputTokens=7, cachedTokens=5, reasoningTokens=2, model="gpt-4o")


async def test_metrics_count_runs_streams_refusals_and_the_store(tmp_path: Path) -> None:
    with running(tmp_path, metrics="true") as server:
        async with httpx.AsyncClient() as http:
            await ask(http, server.url, scripted(*text("a", "one", "two", "three")))
            await ask(http, server.url, scripted({"raise": "boom"}, threadId="t-2"))
            await http.post(server.url, json={"query": "{nope}"})
            page = await page_with(http, server, 'copilotkit_http_requests_total{method="POST",status="200"}', 3)
            assert (await http.get(f"{server.url}/metrics")).status_code == 200
    assert metric(page, 'copilotkit_runs_total{agent="scripted",outcome="finished"}') == 1
    assert metric(page, 'copilotkit_runs_total{agent="scripted",outcome="failed"}') == 1
    assert metric(page, 'copilotkit_run_duration_seconds_count{agent="scripted"}') == 2
    assert metric(page, 'copilotkit_run_first_event_duration_seconds_count{agent="scripted"}') == 1
    assert metric(page, 'copilotkit_active_runs{agent="scripted"}') == 0
    assert metric(page, "copilotkit_active_streams") == 0
    assert metric(page, 'copilotkit_requests_refused_total{status="400"}') == 1
    assert metric(page, 'copilotkit_store_operation_duration_seconds_count{operation="save"}') >= 1
    assert "copilotkit_store_failures_total{" not in page
    assert metric(page, "process_resident_memory_bytes") > 10_000_000
    assert metric(page, f'copilotkit_build_info{{contract_version="{EMULATED_VERSION}"') == 1
    assert f'version="{version("copilotkit-runtime-py")}"' in page


async def test_tokens_are_those_that_vendors_report_and_pieces_are_counted_apart(tmp_path: Path) -> None:
    unnamed = event("RUN_USAGE", inputTokens=1, outputTokens=-4)
    with running(tmp_path, metrics="true", access_log="true") as server:
        async with httpx.AsyncClient() as http:
            await ask(http, server.url, scripted(USAGE, *text("a", "one", "two", "three"), USAGE, unnamed))
            await ask(http, server.url, scripted(*text("a", "four"), threadId="t-2"))
            page = (await http.get(f"{server.origin}/metrics")).text
    assert metric(page, 'copilotkit_pieces_total{agent="scripted"}') == 4
    label = 'agent="scripted",model="gpt-4o"'
    assert metric(page, f'copilotkit_tokens_total{{{label},type="input"}}') == 22
    assert metric(page, f'copilotkit_tokens_total{{{label},type="output"}}') == 14
    assert metric(page, f"copilotkit_cached_tokens_total{{{label}}}") == 10
    assert metric(page, f"copilotkit_reasoning_tokens_total{{{label}}}") == 4
    assert metric(page, f"copilotkit_model_calls_total{{{label}}}") == 2
    assert metric(page, 'copilotkit_tokens_total{agent="scripted",model="(unknown)",type="output"}') == 0
    for name in ("request", "run_ended"):
        with_usage, without = server.events(name)
        assert (with_usage["input_tokens"], with_usage["output_tokens"], with_usage["pieces"]) == (23, 14, 3)
        assert without["pieces"] == 1
        assert "tokens" not in str(without)


async def test_any_number_of_models_makes_a_limited_number_of_series(tmp_path: Path) -> None:
    many = [event("RUN_USAGE", inputTokens=1, model=f"model-{n}") for n in range(60)]
    with running(tmp_path, metrics="true") as server:
        async with httpx.AsyncClient() as http:
            for block in range(6):
                renamed = [event("RUN_USAGE", inputTokens=1, model=f"m{block}-{n}") for n in range(60)]
                await ask(http, server.url, scripted(*many, *renamed, threadId=f"t-{block}"))
            page = (await http.get(f"{server.origin}/metrics")).text
    counted = [line for line in page.splitlines() if line.startswith("copilotkit_model_calls_total{")]
    assert len(counted) == 201
    assert sum(float(line.rsplit(" ", 1)[1]) for line in counted) == 6 * 120


async def test_a_request_of_any_method_makes_one_series(tmp_path: Path) -> None:
    with running(tmp_path, metrics="true") as server:
        async with httpx.AsyncClient() as http:
            for method in ("LOCK", "MKCOL", "PROPFIND"):
                await http.request(method, server.url)
            page = await page_with(http, server, 'copilotkit_http_requests_total{method="other",status="405"}', 3)
    assert "PROPFIND" not in page


async def test_what_blocks_the_event_loop_is_counted(tmp_path: Path) -> None:
    with running(tmp_path, metrics="true", blocked_loop_seconds="0.2") as server:
        async with httpx.AsyncClient() as http:
            before = metric((await http.get(f"{server.origin}/metrics")).text, BLOCKED)
            await ask(http, server.url, generate(text_message("hi"), agent="blocker"))

            async def is_counted() -> bool:
                # A loaded machine may block the loop as well.
                return metric((await http.get(f"{server.origin}/metrics")).text, BLOCKED) > before

            await until(is_counted)


def test_what_the_store_does_not_answer_is_counted_and_a_conflict_is_not() -> None:
    metrics = RuntimeMetrics()
    for error in (StoreUnavailableError(), StoreConflictError(1)):
        with pytest.raises(type(error)), metrics.store("save"):
            raise error
    page = metrics.page()[0].decode()
    assert metric(page, 'copilotkit_store_failures_total{operation="save"}') == 1
    assert metric(page, 'copilotkit_store_operation_duration_seconds_count{operation="save"}') == 2


@pytest.mark.parametrize("wire", ["GraphQL", "AG-UI"])
async def test_answers_of_both_wires_count_as_streams_while_they_last(tmp_path: Path, wire: str) -> None:
    body = scripted(*text("a", "first")[:-1], {"hang": True})
    with running(tmp_path, metrics="true") as server:
        async with httpx.AsyncClient(timeout=20) as http:
            url = server.url
            if wire == "AG-UI":
                steps = body["variables"]["data"]["messages"][0]["textMessage"]["content"]
                url, body = f"{url}/agent/scripted/run", agui.run_input(agui.user(steps))
            async with http.stream("POST", url, json=body) as response:
                chunks = response.aiter_text()  # kept, as the response closes when its iterator goes
                async for chunk in chunks:
                    if "first" in chunk:
                        break
                page = (await http.get(f"{server.origin}/metrics")).text
                assert metric(page, "copilotkit_active_streams") == 1
                assert metric(page, 'copilotkit_active_runs{agent="scripted"}') == 1


def process_ids(page: str) -> set[str]:
    """The processes whose memory a page has."""
    lines = (line for line in page.splitlines() if line.startswith("process_resident_memory_bytes{"))
    return {line.partition('pid="')[2].partition('"')[0] for line in lines}


async def test_metrics_are_those_of_all_workers(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", metrics="true") as server:
        server.await_event("Application startup complete.", times=2)
        for _ in range(8):
            async with httpx.AsyncClient() as http:
                await ask(http, server.url, scripted(*text("a", "one")))
        async with httpx.AsyncClient() as http:
            pages = [(await http.get(f"{server.origin}/metrics")).text for _ in range(4)]
        started = [line["event"] for line in server.log_lines() if "Started server process" in line["event"]]
    workers = {line.partition("[")[2].rstrip("]") for line in started}
    assert {metric(page, 'copilotkit_runs_total{agent="scripted",outcome="finished"}') for page in pages} == {8}
    assert {metric(page, "copilotkit_build_info{") for page in pages} == {1}
    assert len(workers) == 2
    for page in pages:
        assert process_ids(page) == workers
        assert page.count("# TYPE process_cpu_seconds_total counter") == 1


async def test_metrics_are_not_there_unless_they_are_switched_on_and_need_credentials_if_the_rest_does() -> None:
    async with client_of(CopilotRuntime()) as client:
        assert (await client.get("/metrics")).status_code == 404
    config = RuntimeConfig(metrics=True, api_keys=("me:k",))
    async with client_of(CopilotRuntime(config=config)) as client:
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"authorization": "Bearer k"})).status_code == 200


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_secret_of_an_error_or_its_stack_gets_into_the_log(tmp_path: Path, log_format: str) -> None:
    with running(tmp_path, log_format=log_format) as server:
        async with httpx.AsyncClient() as http:
            answer = await ask(http, server.url, generate(text_message("hi"), agent="leaker"))
    log = server.log.read_text()
    assert "run_failed" in log
    assert "in execute_run" in log
    assert "swordfish" not in log
    assert "swordfish" not in json.dumps(answer.parts)


async def test_what_the_store_takes_is_measured_and_readiness_follows_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    try:
        with running(tmp_path, metrics="true", store=redis.url) as server:
            async with httpx.AsyncClient(timeout=20) as http:
                await ask(http, server.url, scripted(*text("a", "one")))
                page = (await http.get(f"{server.origin}/metrics")).text
                assert (await http.get(f"{server.origin}/ready")).status_code == 200
                redis.kill()
                while (away := await http.get(f"{server.origin}/ready")).status_code == 200:
                    pass
                alive = await http.get(f"{server.origin}/health")
                redis.start()
                while (back := await http.get(f"{server.origin}/ready")).status_code == 503:
                    pass
    finally:
        redis.kill()
    assert metric(page, 'copilotkit_store_operation_duration_seconds_count{operation="save"}') == 1
    assert metric(page, 'copilotkit_store_operation_duration_seconds_sum{operation="save"}') > 0
    assert away.json()["checks"]["store"] == "failed"
    assert (alive.status_code, back.json()["checks"]["store"]) == (200, "ok")


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    """An OTLP collector: its URL, and the spans that it was sent."""
    spans: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            spans.extend(s for r in sent.resource_spans for scope in r.scope_spans for s in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_run_is_a_span_of_the_callers_trace_with_its_provider_and_the_store_below_it(
    tmp_path: Path, collector: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, spans = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with running(tmp_path, tracing="true") as server:
        async with httpx.AsyncClient(headers={"traceparent": parent}) as http:
            await ask(http, server.url, scripted(*text("a", "hi")))
            await ask(http, server.url, scripted({"raise": "boom"}, threadId="t-2"))
    runs = [span for span in spans if span.name == "copilotkit.run"]
    assert len(runs) == 2
    requests = [span for span in spans if span.name.startswith("POST ")]
    assert {request.parent_span_id.hex() for request in requests} == {"b7ad6b7169203331"}
    assert {run.parent_span_id for run in runs} == {request.span_id for request in requests}
    assert {run.status.code for run in runs} == {0, 2}
    for name in ("invoke_agent scripted", "copilotkit.store"):
        parents = {span.parent_span_id for span in spans if span.name == name}
        assert {run.span_id for run in runs} <= parents
    assert "boom" not in str(spans)


class Unready(ScriptedProvider):
    """Cannot list its agents after its start."""

    listed = 0

    async def list_agents(self) -> list[AgentDescriptor]:
        self.listed += 1
        if self.listed > 1:
            raise ConnectionError("secret host")
        return await super().list_agents()


async def test_readiness_checks_the_store_and_the_providers_and_liveness_does_not() -> None:
    async with client_of(CopilotRuntime(providers=[Unready()])) as client:
        response = await client.get("/ready")
        assert response.status_code == 503
        assert response.json() == {"ready": False, "checks": {"store": "ok", "provider scripted": "failed"}}
        assert (await client.get("/health")).status_code == 200
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        for path in ("/ready", f"{PATH}/ready"):
            assert (await client.get(path)).json()["ready"] is True


async def test_probes_report_what_is_not_ready_once_and_when_it_is_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    provider = Unready()
    async with client_of(CopilotRuntime(providers=[provider])) as client:
        with capture_logs() as lines:
            for _ in range(3):
                assert (await client.get("/ready")).status_code == 503
            provider.listed = -1
            assert (await client.get("/ready")).status_code == 200
    expected = [("not_ready", "provider scripted"), ("ready_again", "provider scripted")]
    assert [(line["event"], line["check"]) for line in lines if "check" in line] == expected


async def test_a_hidden_error_leads_to_its_log_line(tmp_path: Path) -> None:
    with running(tmp_path, show_errors="false") as server:
        async with httpx.AsyncClient(headers={"x-request-id": "my-id.1"}) as http:
            answer = await ask(http, server.url, scripted({"raise": "secret sauce"}))
            response = await http.post(server.url, json={"query": "{hello}"})
            strange = await http.post(server.url, json={"query": "{hello}"}, headers={"x-request-id": "a\tb"})
        line = server.await_event("run_failed")
    details = fold(answer.parts)["status"]["details"]
    assert details["originalError"]["extensions"]["correlationId"] == line["correlation_id"] == "my-id.1"
    assert "secret sauce" not in json.dumps(answer.parts)
    assert "secret sauce" in line["exception"]
    assert response.headers["x-request-id"] == "my-id.1"
    assert len(strange.headers["x-request-id"]) == 36
