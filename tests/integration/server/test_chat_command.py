"""``chat``: a conversation in the terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server.own_process import Ended, run_here
from tests.integration.server.process import COMMAND, PATIENCE, ROOT, environment

FAILING = """
import asyncio
from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, events

class Failing(AgentProvider):
    name = "failing"

    async def list_agents(self):
        return [AgentDescriptor(name="my_agent")]

    async def execute_run(self, agent_name, run, context):
        if run.messages[-1].content == "wait":
            yield events.TextMessageStart(message_id=run.run_id)
            yield events.TextMessageContent(message_id=run.run_id, delta="waiting")
            await asyncio.Event().wait()
        if run.messages[-1].content == "fail":
            raise LookupError("no city named Atlantis")
        yield events.TextMessageStart(message_id=run.run_id)
        yield events.TextMessageContent(message_id=run.run_id, delta="fine")
        yield events.TextMessageEnd(message_id=run.run_id)

runtime = CopilotRuntime([Failing()])
"""

REMEMBERING = """
from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, events

class Counting(AgentProvider):
    name = "counting"

    async def list_agents(self):
        return [AgentDescriptor(name="my_agent")]

    async def execute_run(self, agent_name, run, context):
        kinds = [type(message).__name__ for message in run.messages]
        yield events.ToolCallStart(tool_call_id=run.run_id, tool_call_name="count")
        yield events.ToolCallEnd(tool_call_id=run.run_id)
        yield events.ToolCallResult(tool_call_id=run.run_id, content="counted")
        yield events.StateSnapshot(snapshot={"runs": run.state.get("runs", 0) + 1})
        yield events.TextMessageStart(message_id=f"said-{run.run_id}")
        text = f"{run.state.get('runs', 0)} runs, {' '.join(kinds)}"
        yield events.TextMessageContent(message_id=f"said-{run.run_id}", delta=text)

runtime = CopilotRuntime([Counting()])
"""
FIRST = "0 runs, TextMessage"
SECOND = "1 runs, TextMessage ToolCallMessage ToolResultMessage TextMessage TextMessage"


class Chat:
    """Types lines into ``chat``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._places = monkeypatch, capsys

    def __call__(
        self, target: str, *lines: str, agent: str | None = None, store: str = "memory://", thread: str | None = None
    ) -> Ended:
        chosen = [] if agent is None else ["--agent", agent]
        chosen += [] if thread is None else ["--thread", thread]
        typed = "".join(f"{line}\n" for line in lines)
        return run_here(*self._places, "chat", target, "--store", store, *chosen, typed=typed)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return Chat(monkeypatch, capsys)


@pytest.fixture
def failing(tmp_path: Path) -> str:
    file = tmp_path / "failing_in_chat.py"
    file.write_text(FAILING)
    return f"{file}:runtime"


def test_each_line_is_answered_and_may_answer_a_question(chat: Chat) -> None:
    talked = chat("examples/demo.py:runtime", "Hello there", "Ask me first", "of course", "Hello again")
    assert talked.status == 0, talked.err
    assert [line for line in talked.out.splitlines() if line] == [
        "You said: Hello there",
        "[asks] Shall I go on with this plan?",
        "You said: Ask me first",
        "You said: Hello again",
    ]


@pytest.fixture
def remembering(tmp_path: Path) -> str:
    file = tmp_path / "remembering_in_chat.py"
    file.write_text(REMEMBERING)
    return f"{file}:runtime"


def test_an_agent_is_given_its_state_its_calls_and_their_results_again(chat: Chat, remembering: str) -> None:
    talked = chat(remembering, "Hello", "And again")
    assert [line for line in talked.out.splitlines() if "runs" in line] == [FIRST, SECOND], talked.err


def test_a_thread_is_gone_on_with_in_another_conversation(chat: Chat, remembering: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'threads.sqlite'}"
    assert FIRST in chat(remembering, "Hello", store=store, thread="t-1").out.splitlines()
    assert SECOND in chat(remembering, "And again", store=store, thread="t-1").out.splitlines()


def test_an_unknown_agent_is_answered_with_those_there_are(chat: Chat) -> None:
    refused = chat("examples/demo.py:runtime", "hi", agent="nobody")
    assert refused.status == 2
    assert "Available agents are: planner" in refused.err
    assert "See more" not in refused.err


def test_a_run_that_fails_is_reported_and_the_conversation_ends_with_1(chat: Chat, failing: str) -> None:
    talked = chat(failing, "fail", "hi")
    assert talked.status == 1
    assert talked.err.rstrip().endswith("(LookupError: no city named Atlantis)")
    assert talked.err.startswith("[error] ")
    assert talked.out.split() == ["fine"]


KEYLESS = """
from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime
from copilotkit_runtime.providers.models import ModelProvider

class Provider(AgentProvider):
    name = "keyless"

    async def list_agents(self):
        return [AgentDescriptor(name="my_agent")]

    async def execute_run(self, agent_name, run, context):
        async for event in ModelProvider("openai:gpt-4o").execute_run(agent_name, run, context):
            yield event

plain = CopilotRuntime(model="openai:gpt-4o")
both = CopilotRuntime([Provider()], model="openai:gpt-4o")
"""


@pytest.mark.parametrize(
    ("name", "status", "line"),
    [("plain", 2, "copilotkit-runtime: {}\n"), ("both", 1, "[error] {}\n")],
)
def test_a_missing_key_is_reported_in_one_line(tmp_path: Path, name: str, status: int, line: str) -> None:
    (tmp_path / "keyless.py").write_text(KEYLESS)
    own = {name: value for name, value in environment().items() if name != "OPENAI_API_KEY"}
    command = [COMMAND, "chat", f"keyless.py:{name}", "--store", "memory://"]
    talked = subprocess.run(
        command, cwd=tmp_path, env=own, input="hi\n", capture_output=True, text=True, timeout=PATIENCE
    )
    assert talked.returncode == status
    assert talked.stderr == line.format("OPENAI_API_KEY is not set, and the agent's model needs it.")


class Terminal:
    """Runs ``chat`` in a terminal."""

    def __init__(self, target: str, *flags: str, store: str = "memory://") -> None:
        self._place, theirs = pty.openpty()
        command = [COMMAND, "chat", target, "--store", store, *flags]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.written = ""

    def type(self, line: str) -> None:
        os.write(self._place, f"{line}\n".encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def read_to(self, text: str) -> None:
        """Read until a text is shown that was not shown before."""
        begun, end = len(self.written), time.monotonic() + PATIENCE
        while text not in self.written[begun:]:
            assert time.monotonic() < end, self.written
            if select.select([self._place], [], [], 1)[0]:
                self.written += os.read(self._place, 65_536).decode()

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._place)


@pytest.fixture
def terminal(failing: str) -> Iterator[Terminal]:
    opened = Terminal(failing)
    yield opened
    opened.close()


def test_ctrl_c_at_the_prompt_ends_the_conversation(terminal: Terminal) -> None:
    terminal.read_to("> ")
    terminal.interrupt()
    assert terminal.process.wait(PATIENCE) == 130


def test_the_prompt_names_the_thread_and_where_it_is_kept(failing: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.sqlite"
    opened = Terminal(failing, "--thread", "t-1", store=f"sqlite:///{file}")
    try:
        opened.read_to("> ")
        assert f"Thread t-1, in sqlite:///{file} ({file} keeps all threads; with --store memory://" in opened.written
    finally:
        opened.close()


def test_ctrl_c_stops_an_answer_and_the_conversation_goes_on(terminal: Terminal) -> None:
    terminal.read_to("> ")
    terminal.type("wait")
    terminal.read_to("waiting")
    terminal.interrupt()
    terminal.read_to("[stopped]")
    terminal.type("hi")
    terminal.read_to("fine")
    terminal.type("")
    assert terminal.process.wait(PATIENCE) == 0


def test_ctrl_c_ends_a_conversation_whose_lines_come_from_a_program(failing: str) -> None:
    command = [COMMAND, "chat", failing, "--store", "memory://"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hi\nwait\n")
        process.stdin.flush()
        shown = b""
        while b"waiting" not in shown:
            shown += (piece := os.read(process.stdout.fileno(), 4096))
            assert piece, shown
        assert shown.startswith(b"fine")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
