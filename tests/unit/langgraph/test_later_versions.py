"""What later versions brought than the lowest that this provider runs on: each has a test that names it.

LangGraph 1.2 has delta channels, whose savers look up their past and take an allow list; LangChain's middleware marks
its own calls.
"""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from langchain.agents.middleware.internal_call_transformer import INTERNAL_CALL_METADATA_KEY
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from copilotkit_runtime.providers.langgraph.checkpoints import AgentCheckpoints
from copilotkit_runtime.providers.langgraph.policy import NOTHING, policy_of

CONFIG: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


def test_middleware_marks_its_own_calls_with_this_key() -> None:
    assert policy_of({INTERNAL_CALL_METADATA_KEY: "token"}) == NOTHING


class Counted(TypedDict):
    items: Annotated[list[int], DeltaChannel(lambda now, writes: [*now, *[x for write in writes for x in write]])]


async def test_the_metadata_of_a_thread_with_a_delta_channel_count_under_this_name() -> None:
    saver = InMemorySaver()
    graph = StateGraph(Counted).add_node("n", lambda _: {"items": [1]}).add_edge(START, "n")
    await graph.compile(checkpointer=saver).ainvoke({"items": []}, {"configurable": {"thread_id": "t"}})
    found = saver.get_tuple({"configurable": {"thread_id": "t"}})
    assert found is not None
    assert found.metadata.get("counters_since_delta_snapshot")


async def test_an_agent_s_savers_look_up_the_past_of_a_delta_channel_under_the_agent_s_name() -> None:
    mine = AgentCheckpoints(InMemorySaver(), "mine")
    written = await mine.aput(CONFIG, empty_checkpoint(), {}, {})

    past: Any = {"messages": {"writes": []}}
    assert mine.get_delta_channel_history(config=written, channels=["messages"]) == past
    assert await mine.aget_delta_channel_history(config=written, channels=["messages"]) == past


async def test_a_saver_with_more_types_allowed_keeps_the_same_agent_s_threads() -> None:
    mine = AgentCheckpoints(InMemorySaver(), "mine")
    written = await mine.aput(CONFIG, empty_checkpoint(), {}, {})

    allowed = mine.with_allowlist([("builtins", "set")])
    assert isinstance(allowed, AgentCheckpoints)
    assert [found.config async for found in allowed.alist(CONFIG)] == [written]
