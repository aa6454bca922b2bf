"""README's promises: its Python serves, its commands run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx
import pytest

from tests.parity.servers import Target, serving

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GRAPH = """
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState, StateGraph

def answer(state: MessagesState) -> MessagesState:
    return {"messages": [AIMessage("hi")]}

graph = StateGraph(MessagesState).add_node(answer).add_edge("__start__", "answer").compile()
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_command_of_the_readme_has_a_test() -> None:
    assert blocks("bash") == ["make serve\n", "make test\n", "copilotkit-runtime serve my_app.py:runtime --port 8001\n"]


def test_the_readmes_ten_lines_serve_a_graph(tmp_path: Path) -> None:
    (tmp_path / "my_agent.py").write_text(GRAPH, encoding="utf-8")
    (tmp_path / "my_app.py").write_text(blocks("python")[0], encoding="utf-8")
    command = (str(Path(sys.executable).with_name("copilotkit-runtime")), "serve", str(tmp_path / "my_app.py:runtime"))
    agents = {"query": "{ availableAgents { agents { name } } }"}
    with serving(Target("readme", command, {"OPENAI_API_KEY": "unused"})) as server:
        answer = httpx.post(server.url, json=agents).json()
    assert answer == {"data": {"availableAgents": {"agents": [{"name": "research"}]}}}


@pytest.mark.timeout(300)
def test_make_serve_answers_a_chat() -> None:
    hello = {"query": "{ hello availableAgents { agents { name } } }"}
    with serving(Target("make", ("make", "serve"), {})) as server:
        data = httpx.post(server.url, json=hello).json()["data"]
    assert data == {"hello": "Hello World", "availableAgents": {"agents": [{"name": "planner"}]}}
