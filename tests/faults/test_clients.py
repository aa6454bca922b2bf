"""Faults of clients, and of what models and proxies send, through the wires and on every store."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.server.process import ROOT, certificate, running
from tests.integration.server.test_shutdown import HANGING, streamed
from tests.integration.stores.conftest import KINDS
from tests.parity.fold import fold
from tests.parity.wire import ACCEPT
from tests.support.agui_client import PATH, connect, events_of, run_input, types_of, user
from tests.support.local_server import client_of
from tests.support.ports import free_port
from tests.support.request_bodies import event, scripted, text
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import play_on, results

STREAMS = 20


class Gated(AgentProvider):
    """Answers with the question, and ends once it may."""

    name = "gated"

    def __init__(self) -> None:
        self.began, self.may_end = asyncio.Event(), asyncio.Event()
        self.at_once = self.most_at_once = 0

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="gated")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            asked: Any = run.messages[-1]
            yield events.TextMessageStart(message_id=f"of {run.run_id}")
            yield events.TextMessageContent(message_id=f"of {run.run_id}", delta=f"{asked.content}: ")
            self.began.set()
            await self.may_end.wait()
            yield events.TextMessageContent(message_id=f"of {run.run_id}", delta="done")
            yield events.TextMessageEnd(message_id=f"of {run.run_id}")
        finally:
            self.at_once -= 1


@pytest.fixture
def gated() -> Gated:
    return Gated()


@pytest.fixture
async def tab(url: str, settings: StoreSettings, gated: Gated) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[gated], store=open_store(url, settings))) as client:
        yield client


def asking(question: str, run: str) -> dict[str, Any]:
    return run_input(user(question, f"question of {run}"), thread="shared", run=run)


def said(seen: list[dict[str, Any]]) -> list[str]:
    texts: dict[str, str] = {}
    for each in seen:
        if each["type"] == "TEXT_MESSAGE_CONTENT":
            texts[each["messageId"]] = texts.get(each["messageId"], "") + each["delta"]
    return list(texts.values())


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_two_tabs_on_one_thread_see_the_same_run(tab: httpx.AsyncClient, gated: Gated) -> None:
    first = asyncio.create_task(tab.post(f"{PATH}/agent/gated/run", json=asking("tea?", "r1")))
    joining = run_input(thread="shared", run="c")
    async with asyncio.timeout(60):
        await gated.began.wait()
        async with tab.stream("POST", f"{PATH}/agent/gated/connect", json=joining) as second:
            pieces, body = second.aiter_text(), ""
            while "tea?: " not in body:
                body += await anext(pieces)
            gated.may_end.set()
            body += "".join([piece async for piece in pieces])
        seen_by_first = events_of((await first).text)
    seen_by_second = events_of(body)
    assert said(seen_by_first) == said(seen_by_second) == ["tea?: done"]
    assert types_of(seen_by_first)[-1] == types_of(seen_by_second)[-1] == "RUN_FINISHED"


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_two_tabs_that_send_at_once_are_answered_one_after_the_other(
    tab: httpx.AsyncClient, gated: Gated
) -> None:
    gated.may_end.set()
    questions = {"r1": "tea?", "r2": "coffee?"}
    async with asyncio.timeout(60):
        answers = await asyncio.gather(
            *(tab.post(f"{PATH}/agent/gated/run", json=asking(asked, run)) for run, asked in questions.items())
        )
        kept = await connect(tab, "gated", "shared")
    for answer, asked in zip(answers, questions.values(), strict=True):
        assert said(events_of(answer.text)) == [f"{asked}: done"]
    assert gated.most_at_once == 1
    assert sorted(said(kept)) == ["coffee?: done", "tea?: done"]


async def add(left: int, right: int) -> int:
    return left + right


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize(
    "malformed", ['{"left":1,', r'{"left":"\ud83d"', "[1,2]", '{"left":1}{"right":2}', "null", '{"left":1e999}']
)
async def test_malformed_arguments_between_others_fail_their_own_call_alone(
    url: str, settings: StoreSettings, malformed: str
) -> None:
    given = {"good": '{"left":1,"right":2}', "bad": malformed, "other": '{"left":3,"right":4}'}
    steps = [event("TOOL_CALL_START", toolCallId=id_, toolCallName="add") for id_ in given]
    for place in range(max(map(len, given.values()))):
        steps += [
            event("TOOL_CALL_ARGS", toolCallId=id_, delta=arguments[place])
            for id_, arguments in given.items()
            if place < len(arguments)
        ]
    steps += [event("TOOL_CALL_END", toolCallId=id_) for id_ in reversed(given)]
    runtime = CopilotRuntime(providers=[ScriptedProvider()], actions=[add], store=open_store(url, settings))
    async with client_of(runtime) as client, asyncio.timeout(60):
        answer = await play_on(client, *steps, *text("a", "on"), agent="scripted")
    found = results(answer)
    assert (found["good"], found["other"]) == ("3", "7")
    assert json.loads(found["bad"])["error"]["code"] == "INVALID_ARGUMENTS"
    assert answer["messages"][-1]["content"] == ["on"]
    assert answer["status"]["code"] == "Success"


async def test_sigterm_ends_twenty_streams_each_with_what_was_sent_and_one_end(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_grace_seconds="0.5", store=f"sqlite:///{tmp_path}/store") as server:
        begun = [asyncio.Event() for _ in range(STREAMS)]
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as http:
            bodies = [json.loads(json.dumps(HANGING).replace('"t-1"', f'"thread {n}"')) for n in range(STREAMS)]
            streams = [
                asyncio.create_task(streamed(http, server, body, event_))
                for body, event_ in zip(bodies, begun, strict=True)
            ]
            async with asyncio.timeout(60):
                await asyncio.gather(*(each.wait() for each in begun))
                server.tell(signal.SIGTERM)
                answers = await asyncio.gather(*streams)
        server.wait()
    ends = [fold(parts) for parts in answers]
    assert [end["status"]["code"] for end in ends] == ["Failed"] * STREAMS
    assert [end["messages"][0]["content"] for end in ends] == [["so far"]] * STREAMS
    assert len({end["threadId"] for end in ends}) == STREAMS
    assert all([part["hasNext"] for part in parts].count(False) == 1 for parts in answers)
    assert server.events("shutting_down")[0]["runs"] == STREAMS


@pytest.fixture
def over_http2(tmp_path: Path) -> Iterator[str]:
    """The endpoint behind an nginx that speaks HTTP/2 over TLS."""
    port = free_port()
    pem, key = certificate(tmp_path, "proxy", "-nodes")
    with running(tmp_path) as server:
        conf = (ROOT / "deploy" / "nginx.conf").read_text()
        conf = conf.replace("server runtime:8000", f"server {server.origin.removeprefix('http://')}")
        tls = f"listen 127.0.0.1:{port} ssl http2; ssl_certificate {pem}; ssl_certificate_key {key}"
        conf = re.sub(r"listen 8080", tls, conf)
        file = tmp_path / "nginx.conf"
        file.write_text(f"daemon off;\npid {tmp_path}/pid;\n{conf}")
        process = subprocess.Popen(["/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(file)], stderr=subprocess.DEVNULL)
        try:
            yield f"https://127.0.0.1:{port}{server.url.removeprefix(server.origin)}"
        finally:
            process.terminate()
            process.wait(10)


def curl(url: str, *options: str, body: dict[str, Any] | None = None) -> subprocess.Popen[str]:
    posted = [] if body is None else ["--header", "content-type: application/json", "--data", json.dumps(body)]
    command = ["curl", "--insecure", "--silent", "--no-buffer", "--http2", "--retry", "30", "--retry-connrefused"]
    return subprocess.Popen([*command, "--max-time", "60", *options, *posted, url], stdout=subprocess.PIPE, text=True)


@pytest.mark.e2e
@pytest.mark.parametrize("accept", [ACCEPT, "text/event-stream"])
def test_a_stream_passes_http2_word_by_word(over_http2: str, accept: str) -> None:
    steps = [*text("a", "first")[:-1], {"hang": True}]
    process = curl(over_http2, "--include", "--header", f"accept: {accept}", body=scripted(*steps))
    assert process.stdout is not None
    try:
        # The run never ends by itself: what is read here was passed on at once.
        lines: list[str] = []
        while not lines or "first" not in lines[-1]:
            line = process.stdout.readline()
            assert line, f"the stream ended: {lines}"
            lines.append(line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert lines[0].startswith("HTTP/2 200")


@pytest.mark.e2e
def test_twenty_streams_share_a_connection_of_http2(over_http2: str) -> None:
    body = json.dumps(scripted(*text("a", "whole")))
    options = ["--header", "content-type: application/json", "--header", f"accept: {ACCEPT}", "--data", body]
    urls = [part for _ in range(STREAMS) for part in (over_http2, "--output", "-")]
    process = curl(urls[0], "--parallel", "--write-out", "<HTTP/%{http_version} %{http_code}>", *options, *urls[1:])
    seen, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert seen.count('"whole"') == STREAMS
    assert seen.count("<HTTP/2 200>") == STREAMS
