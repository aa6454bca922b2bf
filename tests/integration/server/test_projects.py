"""The commands of the first five minutes: ``init``, ``dev`` and ``doctor``."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from copilotkit_runtime.server.cli.proxy_check import check_server
from copilotkit_runtime.server.scaffold.project import ProjectKind, write_project
from tests.integration.server.process import COMMAND, PATIENCE, environment, run, running
from tests.support import agui_client as agui


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "project"
    written = run("init", str(folder), "--kind", request.param, cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    assert "copilotkit-runtime dev app.py:runtime" in written.stdout
    return folder


@pytest.mark.parametrize("project", [kind for kind in ProjectKind if kind is not ProjectKind.MODEL], indirect=True)
def test_a_new_project_chats(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with running(project.parent, app=str(project / "app.py:runtime")) as server:
        body = agui.run_input(agui.user("hello there"))
        answer = httpx.post(f"{server.url}/agent/my_agent/run", json=body, timeout=PATIENCE)
        events = agui.events_of(answer.text)
    said = "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")
    assert said.strip() == "You said: hello there", answer.text
    assert events[-1]["type"] == "RUN_FINISHED"


@pytest.mark.parametrize("project", [ProjectKind.LANGGRAPH], indirect=True)
def test_a_new_project_imports_its_model_s_package_before_anybody_waits_for_it(project: Path) -> None:
    program = "import sys, app; sys.exit('langchain_openai' not in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=project, check=True, timeout=PATIENCE)


@pytest.mark.parametrize("project", [ProjectKind.MODEL], indirect=True)
def test_a_new_project_of_a_model_names_the_key_that_it_needs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with running(project.parent, app=str(project / "app.py:runtime")) as server:
        body = agui.run_input(agui.user("hello there"))
        answer = httpx.post(f"{server.url}/agent/default/run", json=body, timeout=PATIENCE)
    assert "OPENAI_API_KEY" in agui.events_of(answer.text)[-1]["message"]


@pytest.mark.parametrize("kind", ProjectKind)
def test_page_and_readme_of_a_new_project_name_what_it_serves(tmp_path: Path, kind: ProjectKind) -> None:
    written = {file.name: file.read_text() for file in write_project(tmp_path / "project", kind, page=True)}
    agent = "default" if kind is ProjectKind.MODEL else "my_agent"
    assert f'VITE_AGENT ?? "{agent}"' in written["App.tsx"]
    assert ('agent="my_agent"' in written["README.md"]) is (kind is not ProjectKind.MODEL)
    assert "npm run dev" in written["README.md"]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("mine")
    refused = run("init", str(tmp_path))
    assert refused.returncode == 2
    assert "is not empty. Name a new folder." in refused.stderr
    assert (tmp_path / "app.py").read_text() == "mine"


@pytest.mark.parametrize("project", [ProjectKind.CUSTOM], indirect=True)
@pytest.mark.parametrize("words", [["dev"], ["serve", "--open"], ["serve", "--open", "--workers", "1"]])
def test_the_page_is_opened_once_the_server_answers(project: Path, tmp_path: Path, words: list[str]) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    command = [COMMAND, *words, "app.py:runtime", "--port", "0", "--store", "memory://"]
    env = {**environment(), "BROWSER": f"{browser} %s"}
    process = subprocess.Popen(
        command, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        page = next(line.split()[1] for line in process.stdout if line.startswith("  chat "))
        assert "composer" in httpx.get(page, timeout=PATIENCE).text
        while not opened.exists():
            assert process.poll() is None
            os.sched_yield()
        assert opened.read_text().strip() == page
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("project", [ProjectKind.CUSTOM], indirect=True)
def test_doctor_finds_nothing_wrong_and_leaves_nothing_behind(project: Path) -> None:
    (project / "package.json").write_text('{"dependencies": {"@copilotkit/react-core": "^1.10.6"}}')
    examined = run("doctor", "app.py:runtime", cwd=project, port="0")
    assert examined.returncode == 0, examined.stdout
    assert "agents: my_agent" in examined.stdout
    assert "^1.10.6 speaks GraphQL" in examined.stdout
    assert not list(project.glob("*.sqlite*"))


@pytest.mark.parametrize("project", [ProjectKind.CUSTOM], indirect=True)
def test_doctor_names_what_fails_and_what_to_do(project: Path) -> None:
    url = "http://127.0.0.1:1/api/copilotkit"
    examined = run("doctor", "app.py:runtime", "--url", url, cwd=project, store="redis://127.0.0.1:1", port="0")
    assert examined.returncode == 1
    failed = [line for line in examined.stdout.splitlines() if line.startswith("fail")]
    assert any("store redis://127.0.0.1:1" in line and line.endswith("with --store.") for line in failed)
    assert any(url in line and "Is it running" in line for line in failed)


def test_doctor_looks_at_a_running_server(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        examined = run("doctor", "--url", server.url, cwd=tmp_path, port="0", store="memory://")
        elsewhere = run("doctor", "--url", f"{server.url}/nowhere", cwd=tmp_path, port="0", store="memory://")
    assert f"{server.url}: streams come as they are: sent over 1.0 s" in examined.stdout
    assert "HTTP 404" in elsewhere.stdout


@contextmanager
def proxy(origin: str, *, compresses: bool = False) -> Iterator[str]:
    """A proxy that reads each answer to its end before it passes it on."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            headers = {k: v for k, v in self.headers.items() if k.lower() in ("authorization", "accept")}
            answer = httpx.request(self.command, origin + self.path, content=self.rfile.read(size), headers=headers)
            body = gzip.compress(answer.content) if compresses else answer.content
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(body)))
            if compresses:
                self.send_header("content-encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the standard library's own way

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("compresses", "finding", "advice"),
    [(False, "a proxy holds streams back", "proxy_buffering off"), (True, "streams are compressed", "event-stream")],
)
def test_doctor_measures_what_a_proxy_does_to_streams(
    tmp_path: Path, compresses: bool, finding: str, advice: str
) -> None:
    key = ("--header", "Authorization: Bearer my-key")
    with running(tmp_path, api_keys="me:my-key") as server, proxy(server.origin, compresses=compresses) as origin:
        url = origin + server.url.removeprefix(server.origin)
        stranger = run("doctor", "--url", url, cwd=tmp_path, port="0", store="memory://")
        examined = run("doctor", "--url", url, *key, cwd=tmp_path, port="0", store="memory://")
        direct = run("doctor", "--url", server.url, *key, cwd=tmp_path, port="0", store="memory://")
    assert "needs credentials. Give them with --header" in stranger.stdout
    assert examined.returncode == 1
    [line] = [line for line in examined.stdout.splitlines() if line.startswith("fail")]
    assert finding in line
    assert advice in line
    assert direct.returncode == 0, direct.stdout


def test_doctor_names_a_server_without_tls() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        [found] = check_server(f"https://127.0.0.1:{server.server_port}/api/copilotkit", {})
    finally:
        server.shutdown()
        server.server_close()
    assert found.what.endswith("what answers there is no TLS")
    assert found.advice.startswith("Write http://")


def test_doctor_refuses_a_header_that_is_none(tmp_path: Path) -> None:
    ended = run("doctor", "--header", "my-key", cwd=tmp_path, port="0", store="memory://")
    assert ended.returncode == 2
    assert "NAME: VALUE" in ended.stderr
