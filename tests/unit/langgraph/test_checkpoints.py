from __future__ import annotations

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

from copilotkit_runtime.providers.langgraph.checkpoints import AgentCheckpoints

CONFIG: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


async def test_an_agent_sees_its_own_checkpoints_under_the_client_s_thread_id() -> None:
    shared = InMemorySaver()
    mine, other = AgentCheckpoints(shared, "mine"), AgentCheckpoints(shared, "other")
    first = await mine.aput(CONFIG, empty_checkpoint(), {"source": "input"}, {})
    second = await mine.aput(first, empty_checkpoint(), {"source": "loop"}, {})
    await mine.aput_writes(second, [("channel", 1)], "task")

    found = [each async for each in mine.alist(CONFIG)]
    assert [each.config["configurable"]["thread_id"] for each in found] == ["t", "t"]
    assert found[0].parent_config == first
    assert found[0].pending_writes == [("task", "channel", 1)]
    before: RunnableConfig = {"configurable": {"checkpoint_id": second["configurable"]["checkpoint_id"]}}
    assert [each.config async for each in mine.alist(CONFIG, before=before)] == [first]
    assert await other.aget_tuple(CONFIG) is None
    assert [thread for thread, kept in shared.storage.items() if kept[""]] == ["mine:t"]

    await other.adelete_thread("t")
    assert await mine.aget_tuple(CONFIG) is not None
    await mine.adelete_thread("t")
    assert await mine.aget_tuple(CONFIG) is None


def test_synchronous_calls_see_the_same() -> None:
    mine = AgentCheckpoints(InMemorySaver(), "mine")
    written = mine.put(CONFIG, empty_checkpoint(), {"source": "input"}, {})
    mine.put_writes(written, [("channel", 1)], "task")

    found = mine.get_tuple(CONFIG)
    assert found is not None
    assert found.config == written
    assert [each.config for each in mine.list(CONFIG)] == [written]
    mine.delete_thread("t")
    assert mine.get_tuple(CONFIG) is None


async def test_the_saver_s_own_settings_are_kept() -> None:
    shared = InMemorySaver()
    mine = AgentCheckpoints(shared, "mine")

    assert mine.serde is shared.serde
    assert mine.config_specs == shared.config_specs
    assert str(mine.get_next_version(None, None)).startswith("0000")
