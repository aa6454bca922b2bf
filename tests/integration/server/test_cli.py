"""The commands, and what they print when something is not as it must be."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.integration.server.process import APP, COMMAND, ROOT, certificate, environment, run, running

GRAPH = """
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState, StateGraph

def answer(state: MessagesState) -> MessagesState:
    return {"messages": [AIMessage("hi")]}

graph = StateGraph(MessagesState).add_node(answer).add_edge("__start__", "answer").compile()
"""


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    (tmp_path / "graph.py").write_text(GRAPH)
    (tmp_path / "langgraph.json").write_text(json.dumps({"graphs": {"research": "./graph.py:graph"}}))
    return tmp_path


def test_agents_are_listed() -> None:
    assert run("agents", APP).stdout.splitlines() == ["scripted\tPlays scripts", "blocker\t", "witness\t", "leaker\t"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("model='openai:gpt-4o'", "There is no agent. Clients reach openai:gpt-4o as 'default'."),
        ("", "There is neither an agent nor a model."),
    ],
)
def test_a_runtime_without_agents_is_listed_as_such(tmp_path: Path, made: str, said: str) -> None:
    (tmp_path / "no_agents.py").write_text(
        f"from copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime({made})\n"
    )
    ended = run("agents", "no_agents.py", cwd=tmp_path)
    assert (ended.stdout, ended.stderr) == ("", f"copilotkit-runtime: {said}\n")


@pytest.mark.parametrize("target", [".", "langgraph.json", None])
def test_a_langgraph_file_or_its_folder_is_a_target(graphs: Path, target: str | None) -> None:
    ended = run("agents", *([target] if target else []), cwd=graphs)
    assert ended.stdout.startswith("research\t"), ended.stderr


def test_a_module_is_a_target(tmp_path: Path) -> None:
    (tmp_path / "my_app.py").write_text("from copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime()\n")
    assert run("agents", "my_app:runtime", cwd=tmp_path).returncode == 0
    assert run("agents", "my_app", cwd=tmp_path).returncode == 0


def test_the_schema_is_printed_and_compared(tmp_path: Path) -> None:
    printed = run("schema").stdout
    same, other = tmp_path / "same.graphql", tmp_path / "other.graphql"
    same.write_text(printed)
    other.write_text(printed.replace("hello: String!", "goodbye: String!"))
    assert (run("schema", "--diff", str(same)).returncode, run("schema", "--diff", str(same)).stdout) == (
        0,
        "the same\n",
    )
    ended = run("schema", "--diff", str(other))
    assert ended.returncode == 1
    assert "-  goodbye: String!" in ended.stdout
    assert run("schema", "--diff", str(tmp_path / "none")).returncode == 2


def test_the_schema_is_compared_with_a_running_server(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert run("schema", "--diff", server.url).stdout == "the same\n"


def test_the_version_names_the_contract() -> None:
    said = r"copilotkit-runtime-py \S+ \(contract of @copilotkit/runtime 1\.10\.6\)\n"
    assert re.fullmatch(said, run("version").stdout)
    assert re.fullmatch(said, run("--version").stdout)


def test_bash_completes_commands_and_flags() -> None:
    script = """
        source <(_COPILOTKIT_RUNTIME_COMPLETE=source_bash copilotkit-runtime)
        words() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _copilotkit_runtime_completion "$1"; echo "${COMPREPLY[@]}"
        }
        words copilotkit-runtime s
        words copilotkit-runtime serve --work
    """
    place = {"PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-c", script], env={**environment(), **place}, capture_output=True, text=True, check=False
    )
    assert (ended.stdout.splitlines(), ended.stderr) == (["serve schema store", "--workers"], "")


@pytest.mark.parametrize(("shell", "said"), [("zsh", "#compdef copilotkit-runtime"), ("fish", "complete --command")])
def test_other_shells_get_their_own_script(shell: str, said: str) -> None:
    asked = {**environment(), "_COPILOTKIT_RUNTIME_COMPLETE": f"source_{shell}"}
    assert said in subprocess.run([COMMAND], env=asked, capture_output=True, text=True, check=True).stdout


def test_the_start_is_summed_up_with_what_may_have_been_overlooked(tmp_path: Path) -> None:
    with running(
        tmp_path, "--host", "0.0.0.0", "--path", "/chat", "--workers", "2", metrics="true", rate_limit="60/minute"
    ) as server:
        said = "\n".join(server.said)
        rest = [server.process.stdout.readline() for _ in range(4)] if server.process.stdout else []
    assert "/chat" in said
    assert "agents   scripted, blocker, witness, leaker" in said
    assert "metrics  http" in said
    assert "whoever reaches this address may use the agents" in rest[0]
    assert "set env to production" in rest[1]
    assert "do not share a memory:// store" in rest[2]
    assert "each worker counts rates for itself" in rest[3]


def test_a_secret_that_can_be_guessed_is_warned_of(tmp_path: Path) -> None:
    with running(tmp_path, jwt_secret="swordfish") as server:
        assert server.process.stdout is not None
        assert "jwt_secret is shorter than 32 bytes" in server.process.stdout.readline()


def test_states_are_kept_on_disk_when_no_place_is_set(graphs: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "serve", ".", "--port", "0"], cwd=graphs, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(9)]
    process.terminate()
    process.communicate()
    [store] = [line for line in said if line.startswith("  store ")]
    assert store.startswith("  store    sqlite:///copilotkit.sqlite (")
    assert f"{graphs / 'copilotkit.sqlite'} keeps all threads" in store
    assert (graphs / "copilotkit.sqlite").is_file()


@contextmanager
def reloading(folder: Path, text: str) -> Iterator[tuple[IO[bytes], Path]]:
    """Serves a file of that text with ``--reload``; gives what is said and logged, and the file."""
    file = folder / "app.py"
    file.write_text(text)
    process = subprocess.Popen(
        [COMMAND, "serve", "app.py:runtime", "--port", "0", "--reload"],
        cwd=folder,
        env=environment(store="memory://"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdout is not None
    try:
        yield process.stdout, file
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_a_change_is_served_without_a_new_start(tmp_path: Path) -> None:
    app = (
        "from copilotkit_runtime import CopilotRuntime, RuntimeConfig\n"
        "runtime = CopilotRuntime(config=RuntimeConfig({}))\n"
    )
    with reloading(tmp_path, app.format("")) as (output, file):
        assert b"GraphiQL" in said_until(output, b"  store ", lambda: None)
        changed = said_until(output, b"  store ", lambda: file.write_text(app.format("graphiql=False")))
        assert b"GraphiQL" not in changed
        assert not re.search(rb"\d changes? detected", changed), "each write to a store in a file would be logged"


def test_a_change_that_breaks_a_target_is_reported_and_the_next_one_mends_it(tmp_path: Path) -> None:
    good = "from copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime()\n"
    with reloading(tmp_path, good) as (output, file):
        said_until(output, b"startup complete", lambda: None)
        broken = said_until(output, b"cannot be loaded", lambda: file.write_text(f"{good}boom(\n"))
        assert b"SyntaxError" in broken
        assert b"SpawnProcess" not in broken
        said_until(output, b"CopilotKit runtime at", lambda: file.write_text(good))


def said_until(output: IO[bytes], text: bytes, poke: Callable[[], object]) -> bytes:
    """What a process prints until it prints ``text``; ``poke`` is done now, and again after each long silence."""
    said = b""
    poke()
    while text not in said:
        if select.select([output], [], [], 10.0)[0]:
            piece = os.read(output.fileno(), 65536)
            assert piece, f"it ended, having said {said!r}"
            said += piece
        else:
            poke()
    return said


def test_tls_is_served(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path, "server", "-nodes")
    with running(tmp_path, "--ssl-certfile", str(pem), "--ssl-keyfile", str(key)) as server:
        assert server.url.startswith("https://")
        response = httpx.post(server.url, json={"query": "{hello}"}, verify=False)
    assert response.json() == {"data": {"hello": "Hello World"}}
    assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_the_command_starts_without_loading_any_framework() -> None:
    code = (
        "import sys, copilotkit_runtime.server.cli\n"
        "print([name for name in ('langgraph', 'crewai', 'openai') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
