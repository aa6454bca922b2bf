"""The recipes for nginx and Caddy, run: a stream passes as it comes, on both wires."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from tests.documents.blocks import ROOT, blocks_of
from tests.integration.server.process import Running, running
from tests.parity.wire import ACCEPT
from tests.support.ports import free_port
from tests.support.request_bodies import scripted, text

PATHS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
PATIENCE = 30.0

Proxy: TypeAlias = Callable[[Path, str, int], list[str]]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]


def configuration(recipe: str, server: str) -> str:
    """What a recipe has the reader write, with the server where it is."""
    blocks = blocks_of(ROOT / "docs" / "recipes" / f"{recipe}.md")
    (found,) = [block.text for block in blocks if block.language == recipe]
    assert "127.0.0.1:8000" in found
    return found.replace("127.0.0.1:8000", server)


def program(name: str) -> str:
    found = shutil.which(name, path=PATHS)
    assert found is not None, f"{name} is not installed: scripts/e2e does that"
    return found


def nginx(folder: Path, server: str, port: int) -> list[str]:
    location = configuration("nginx", server)
    http = f"access_log off; gzip on; server {{ listen 127.0.0.1:{port}; {location} }}"
    file = folder / "nginx.conf"
    file.write_text(f"daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{ {http} }}")
    return [program("nginx"), "-p", str(folder), "-c", str(file)]


def caddy(folder: Path, server: str, port: int) -> list[str]:
    site = configuration("caddy", server).replace("chat.example.com", f"http://127.0.0.1:{port}")
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n}}\n{site}")
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(file)]


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Running]]:
    """A server behind a proxy: its URL there, and the server."""
    port = free_port()
    with running(tmp_path) as server:
        command = request.param(tmp_path, server.origin.removeprefix("http://"), port)
        environment = {"HOME": str(tmp_path), "PATH": PATHS}
        with (tmp_path / "proxy.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stderr=log)
        try:
            yield answering(f"http://127.0.0.1:{port}{server.url.removeprefix(server.origin)}", tmp_path), server
        finally:
            process.terminate()
            process.wait(30)


def answering(url: str, folder: Path) -> str:
    for _ in range(300):
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return url
    raise TimeoutError((folder / "proxy.log").read_text())


STEPS = [*text("a", "first")[:-1], {"hang": True}]


@pytest.mark.parametrize("accept", [ACCEPT, "text/event-stream"])
def test_a_word_passes_while_the_agent_is_at_work_and_a_client_that_leaves_is_noticed(
    proxied: tuple[str, Running], accept: str
) -> None:
    url, server = proxied
    headers = {"accept": accept, "accept-encoding": "gzip"}
    with httpx.stream("POST", url, json=scripted(*STEPS), headers=headers, timeout=PATIENCE) as response:
        assert any("first" in chunk for chunk in response.iter_text())
    assert server.await_event("run_ended")["outcome"] == "cancelled"


def test_a_word_passes_to_an_ag_ui_client_while_the_agent_is_at_work(proxied: tuple[str, Running]) -> None:
    url, _ = proxied
    said = [{"id": "m", "role": "user", "content": json.dumps(STEPS)}]
    body = {"threadId": "t", "runId": "r", "messages": said, "tools": [], "context": [], "state": {}}
    headers = {"accept": "text/event-stream", "accept-encoding": "gzip"}
    with httpx.stream("POST", f"{url}/agent/scripted/run", json=body, headers=headers, timeout=PATIENCE) as response:
        assert any("first" in chunk for chunk in response.iter_text())
    httpx.post(f"{url}/agent/scripted/stop/t", timeout=PATIENCE).raise_for_status()
