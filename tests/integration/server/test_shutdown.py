"""How the server process lives and dies."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.server.process import Running, running
from tests.parity.fold import fold
from tests.parity.wire import ACCEPT, PartReader
from tests.support.agui_client import run_input, script
from tests.support.half_sent import HalfSent
from tests.support.request_bodies import event, generate, scripted, text, text_message

HANGING = scripted(*text("a", "so far")[:-1], {"hang": True})


async def streamed(http: httpx.AsyncClient, server: Running, body: dict[str, Any], begun: asyncio.Event) -> list[Any]:
    """All parts of an answer; signals when the first has come."""
    reader, parts = PartReader(), []
    async with http.stream("POST", server.url, json=body) as response:
        async for chunk in response.aiter_bytes():
            parts += reader.feed(chunk)
            begun.set() if "so far" in str(parts) else None
    assert reader.finished
    return parts


async def ending(server: Running, body: dict[str, Any], number: signal.Signals = signal.SIGTERM) -> list[Any]:
    """What a stream says to its end, when the server is stopped as soon as it has begun."""
    begun = asyncio.Event()
    async with httpx.AsyncClient(timeout=20) as http, asyncio.timeout(20):
        streaming = asyncio.create_task(streamed(http, server, body, begun))
        await begun.wait()
        server.tell(number)
        return await streaming


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_runs_are_let_finish_within_the_grace_period(tmp_path: Path, number: signal.Signals) -> None:
    late = {**event("TEXT_MESSAGE_END", messageId="a"), "after": 1.0}
    with running(tmp_path) as server:
        parts = await ending(server, scripted(*text("a", "so far")[:-1], late), number)
        assert fold(parts)["status"]["code"] == "Success"
        assert server.wait() in (-number, 128 + number)


async def test_runs_that_take_longer_are_ended_with_a_terminal_event(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_grace_seconds="0.5") as server:
        parts = await ending(server, HANGING)
        server.wait()
        end = fold(parts)
    assert parts[-1]["hasNext"] is False
    assert end["status"]["code"] == "Failed"
    assert end["status"]["details"]["description"] == "The server is shutting down. Please try again in a moment."
    assert end["messages"][0]["content"] == ["so far"]
    assert server.events("shutting_down")[0]["runs"] == 1


async def test_nobody_is_let_in_while_runs_finish(tmp_path: Path) -> None:
    begun = asyncio.Event()
    with running(tmp_path, shutdown_grace_seconds="5") as server:
        async with httpx.AsyncClient(timeout=20) as http:
            streaming = asyncio.create_task(streamed(http, server, HANGING, begun))
            await begun.wait()
            server.tell(signal.SIGTERM)
            await asyncio.to_thread(server.await_event, "Shutting down")
            with pytest.raises(httpx.ConnectError):
                await httpx.AsyncClient().post(server.url, json={"query": "{hello}"})
            server.tell(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                await streaming
        assert server.wait() == 128 + signal.SIGTERM


PATIENT = """
from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.server import shutdown
from tests.support.scripted_agent import ScriptedProvider

shutdown.LAST_REQUESTS_SECONDS = 60  # longer than the slowest machine takes to send the rest
runtime = CopilotRuntime([ScriptedProvider()])
"""


async def answer_to_half_a_request(server: Running, wire: str) -> str:
    """Return what is answered to a run whose request was on its way when the server was to end."""
    steps = text("a", "answered")
    agui = f"{server.url}/agent/scripted/run", run_input(script(*steps))
    request = HalfSent(*((server.url, scripted(*steps), ACCEPT) if wire == "graphql" else agui))
    await request.begin()
    server.tell(signal.SIGTERM)
    return await request.complete()


@pytest.mark.parametrize("wire", ["graphql", "agui"])
async def test_a_run_whose_request_is_on_its_way_then_is_executed(tmp_path: Path, wire: str) -> None:
    file = tmp_path / "patient.py"
    file.write_text(PATIENT)
    with running(tmp_path, app=f"{file}:runtime") as server:
        answer = await answer_to_half_a_request(server, wire)
    assert answer.startswith("HTTP/1.1 200 ")
    assert "answered" in answer


@pytest.mark.parametrize("wire", ["graphql", "agui"])
async def test_one_for_which_no_time_is_left_is_refused_with_when_to_try_again(tmp_path: Path, wire: str) -> None:
    with running(tmp_path, shutdown_grace_seconds="0") as server:
        answer = await answer_to_half_a_request(server, wire)
    assert answer.startswith("HTTP/1.1 503 ")
    assert "retry-after: 5\r\n" in answer.lower()


async def test_workers_end_as_one_process_does(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", shutdown_grace_seconds="0.5") as server:
        await asyncio.to_thread(server.await_event, "Application startup complete.")
        parts = await ending(server, HANGING)
        assert fold(parts)["status"]["code"] == "Failed"
        assert server.wait() == 0


async def test_an_agent_that_blocks_the_loop_is_reported_with_its_stack(tmp_path: Path) -> None:
    with running(tmp_path, blocked_loop_seconds="0.3") as server:
        async with httpx.AsyncClient(timeout=20) as http:
            await http.post(server.url, json=generate(text_message("hi"), agent="blocker"))
        line = await asyncio.to_thread(server.await_event, "loop_blocked")
    assert "wait_without_awaiting" in line["stack"]
    assert "run.py" not in line["stack"], "the stack begins with what the agent's author wrote"
    assert server.events("loop_turns_again")
