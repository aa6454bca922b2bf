"""A store is made small, and what is a person's is deleted with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.base import BaseStore
from typer.testing import CliRunner

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from copilotkit_runtime.server.cli.commands import app
from tests.integration.stores.conftest import KINDS

TARGET = """
from tests.integration.stores.test_compaction import remembering
runtime = remembering(None)
"""


async def _answer(state: MessagesState, *, store: BaseStore) -> dict[str, Any]:
    found = await store.asearch(("notes",), limit=100)
    await store.aput(("notes",), f"note {len(found)}", {"text": state["messages"][-1].text})
    return {"messages": [AIMessage(f"{len(found)} notes")]}


def remembering(store: Any) -> CopilotRuntime:
    graph = StateGraph(MessagesState).add_node("answer", _answer).add_edge(START, "answer")
    return CopilotRuntime(providers=[LangGraphProvider({"agent": graph})], store=store)


async def _turns(runtime: CopilotRuntime, turns: int, thread: str, owner: str | None = None, pad: int = 0) -> str:
    for turn in range(turns):
        run = await runtime.start_run("agent", f"{turn} " + "x" * pad, thread_id=thread, owner=owner)
        assert await run.join() == "finished"
    state = await runtime.load_agent_state(thread_id=thread, agent_name="agent")
    assert state is not None
    return str(getattr(state.messages[-1], "content", ""))


async def test_a_file_with_the_whole_history_becomes_small(tmp_path: Path) -> None:
    file = tmp_path / "states.sqlite"
    async with remembering(open_store(f"sqlite:///{file}", StoreSettings(checkpoint_history=None))) as runtime:
        await _turns(runtime, 30, "thread", pad=2_000)
    before = file.stat().st_size

    async with remembering(f"sqlite:///{file}") as runtime:
        assert await runtime.compact_store() == 1
        assert file.stat().st_size < before / 2
        assert await _turns(runtime, 1, "thread") == "30 notes"


def test_the_command_reports_how_many_threads_it_has_compacted(tmp_path: Path) -> None:
    (tmp_path / "runtime.py").write_text(TARGET)
    place = f"sqlite:///{tmp_path / 'states.sqlite'}"
    result = CliRunner().invoke(
        app, ["store", "compact", "--target", f"{tmp_path / 'runtime.py'}:runtime", "--store", place]
    )
    assert (result.exit_code, result.stdout) == (0, "compacted 0\n")


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_what_agents_remember_of_a_person_is_deleted_with_their_threads(
    url: str, settings: StoreSettings
) -> None:
    settings = msgspec.structs.replace(settings, checkpoint_history=1)
    async with remembering(open_store(url, settings)) as runtime:
        for owner in ("ann", "bob"):
            assert await _turns(runtime, 3, f"{owner}'s", owner) == "2 notes"
        assert await runtime.delete_threads(owner="ann") == 1

        assert await _turns(runtime, 1, "ann's next", "ann") == "0 notes"
        assert await _turns(runtime, 1, "bob's next", "bob") == "3 notes"
        assert await runtime.compact_store() == 3
