"""A web host has the queue, the store and nothing that agents need; it serves, lists and deletes what workers have."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.execution.bare_environment import make_environment
from tests.integration.stores.test_takeover import starting, terminal
from tests.parity.fold import fold
from tests.parity.servers import PATIENCE, Target, serving
from tests.parity.wire import ask
from tests.support.queued_runtime import worker
from tests.support.request_bodies import generate, text_message

APP = "tests/support/resumable_runtime.py:runtime"
AGENTS_NEED = ("langgraph.graph", "crewai", "openai", "mcp", "ag_ui")
_FOUND = f"""
from importlib.util import find_spec
print([name for name in {AGENTS_NEED!r} if find_spec(name)])
"""


@pytest.fixture(scope="module")
def bare() -> Iterator[tuple[str, ...]]:
    """The command of a web host."""
    with tempfile.TemporaryDirectory(prefix="copilotkit-bare-") as folder:
        program = make_environment(Path(folder), "queue", "redis", "postgres")
        found = subprocess.run([program[0], "-c", _FOUND], check=True, capture_output=True, text=True)
        assert found.stdout == "[]\n"
        yield program


def call(bare: tuple[str, ...], url: str, *words: str) -> str:
    """Run a command on the web host, which has its settings in its environment; return what it prints."""
    places = {"COPILOTKIT_STORE": url, "COPILOTKIT_PORT": "0"}
    settings = {"COPILOTKIT_EXECUTION": "queue", "NO_COLOR": "1", **places}
    ended = subprocess.run([*bare, *words], env=settings, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)
async def test_a_web_host_without_frameworks_serves_and_manages_what_workers_have(
    url: str, bare: tuple[str, ...]
) -> None:
    settings = {"COPILOTKIT_STORE": url, "COPILOTKIT_LOG_LEVEL": "warning"}
    front = Target("bare", (*bare, "serve", "--execution", "queue"), settings)
    said = json.dumps({"say": ["hello"]})
    async with httpx.AsyncClient(timeout=120) as client:
        with serving(worker(APP, url)), serving(front) as web:
            run = starting(client, web, "of-agui", said)
            await run.join()
            assert terminal(run.events) == ["RUN_FINISHED"]
            answer = await ask(client, web.url, generate(text_message(said), agent="graph", threadId="of-graphql"), 90)
            assert fold(answer.parts)["status"]["code"] == "Success"
            assert "graph\t" in await asyncio.to_thread(call, bare, url, "agents")
            threads = ("of-agui", "of-graphql")
            for thread in threads:
                assert thread in await asyncio.to_thread(call, bare, url, "threads", "list")
                assert '"hello"' in await asyncio.to_thread(call, bare, url, "threads", "export", thread)
                assert await asyncio.to_thread(call, bare, url, "threads", "delete", thread) == "deleted 1\n"
            left = await asyncio.to_thread(call, bare, url, "threads", "list")  # those of other tests, too
            assert not any(thread in left for thread in threads)
            examined = await asyncio.to_thread(call, bare, url, "doctor")
            assert "agents are those of workers" in examined
            assert "extras: redis, postgres, queue" in examined
