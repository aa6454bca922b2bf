"""Streams through ``deploy/nginx.conf`` in a real nginx, which ``scripts/e2e`` installs."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.integration.server.process import ROOT, Running, run, running
from tests.parity.wire import ACCEPT, PartReader
from tests.support.ports import free_port
from tests.support.request_bodies import event, scripted, text

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
IDLE_SECONDS = 60.0

pytestmark = pytest.mark.e2e


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[str, Running]]:
    """nginx in front of a server: its URL, and the server."""
    with running(tmp_path) as server, balanced(tmp_path, server.origin.removeprefix("http://")) as origin:
        yield _answering(f"{origin}{server.url.removeprefix(server.origin)}"), server


@contextmanager
def balanced(folder: Path, *servers: str) -> Iterator[str]:
    """Have nginx, with one process, in front of servers."""
    port = free_port()
    conf = (ROOT / "deploy" / "nginx.conf").read_text().replace("worker_processes auto", "worker_processes 1")
    for line in re.findall(r".*server runtime:8000.*\n", conf):
        conf = conf.replace(line, "".join(line.replace("runtime:8000", each) for each in servers))
    conf = conf.replace("listen 8080", f"listen 127.0.0.1:{port}")
    file = folder / "nginx.conf"
    file.write_text(f"daemon off;\npid {folder}/pid;\n{conf}")
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def greeting(port: int) -> Iterator[None]:
    """Serve the number of the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(port).encode())

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join(10)


def _answering(url: str) -> str:
    for _ in range(100):
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return url
    raise TimeoutError("nginx does not answer")


@pytest.mark.timeout(150)
def test_a_word_passes_at_once_and_the_next_after_a_minute_of_silence(proxied: tuple[str, Running]) -> None:
    url, _ = proxied
    formats = (ACCEPT, "text/event-stream")
    with ThreadPoolExecutor(len(formats)) as readers:
        list(readers.map(partial(_read_over_silence, url), formats))


def _read_over_silence(url: str, accept: str) -> None:
    steps = [
        *text("a", "first")[:-1],
        {**event("TEXT_MESSAGE_CONTENT", messageId="a", delta="second"), "after": IDLE_SECONDS},
    ]
    body = scripted(*steps, threadId=accept)
    headers = {"accept": accept, "accept-encoding": "gzip"}
    begun, seen = time.monotonic(), ""
    when: dict[str, float] = {}
    with httpx.stream("POST", url, json=body, headers=headers, timeout=90) as response:
        for chunk in response.iter_text():
            seen += chunk
            when |= {word: time.monotonic() - begun for word in ("first", "second") if word in chunk}
    assert "content-encoding" not in response.headers
    assert when["first"] < 5
    assert IDLE_SECONDS <= when["second"] < IDLE_SECONDS + 5
    assert '"hasNext":false' in seen


def test_doctor_finds_that_streams_pass_as_they_are(proxied: tuple[str, Running], tmp_path: Path) -> None:
    url, _ = proxied
    examined = run("doctor", "--url", url, cwd=tmp_path, port="0", store="memory://")
    assert f"{url}: streams come as they are" in examined.stdout


def test_whole_answers_are_compressed_and_probes_hidden(proxied: tuple[str, Running]) -> None:
    url, _ = proxied
    query = {"query": "{__schema{types{name description fields{name}}}}"}
    response = httpx.post(url, json=query, headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert httpx.get(f"{url}/ready").status_code == 404


def test_a_client_that_leaves_is_noticed_through_the_proxy(proxied: tuple[str, Running]) -> None:
    url, server = proxied
    body = scripted(*text("a", "first")[:-1], {"hang": True})
    reader = PartReader()
    with httpx.stream("POST", url, json=body, headers={"accept": ACCEPT}, timeout=20) as response:
        for chunk in response.iter_bytes():
            if "first" in str(reader.feed(chunk)):
                break
    assert server.await_event("run_ended")["outcome"] == "cancelled"


def test_a_server_that_is_back_is_used_at_once_while_no_other_is_there(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    with balanced(tmp_path, f"127.0.0.1:{first}", f"127.0.0.1:{second}") as url:
        with greeting(second):
            _answering(url)
            assert {httpx.post(url).text for _ in range(4)} == {str(second)}
        with greeting(first):
            answers = [httpx.post(url) for _ in range(4)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, str(first))] * 4
