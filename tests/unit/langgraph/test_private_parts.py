"""What this provider uses of LangGraph and LangChain beyond their documentation: each has a test that names it."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage
from langgraph._internal._constants import NULL_TASK_ID, PREVIOUS
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.store.base import Item
from langgraph.store.memory import InMemoryStore

from copilotkit_runtime.providers.langgraph import graph_thread
from copilotkit_runtime.providers.langgraph.schema import schema_of


def test_writes_without_a_task_and_what_a_workflow_saved_have_these_names() -> None:
    assert graph_thread.NO_TASK == NULL_TASK_ID
    assert graph_thread.PREVIOUS == PREVIOUS


async def test_the_saver_in_memory_keeps_checkpoints_writes_and_values_in_these_attributes() -> None:
    saver = InMemorySaver()
    graph = StateGraph(MessagesState).add_node("n", lambda _: {"messages": [AIMessage("x")]}).add_edge(START, "n")
    await graph.compile(checkpointer=saver).ainvoke({"messages": []}, {"configurable": {"thread_id": "t"}})
    checkpoints = saver.storage["t"][""]
    assert checkpoints
    assert all((thread, namespace) == ("t", "") for thread, namespace, _ in saver.writes)
    assert all(blob[:2] == ("t", "") for blob in saver.blobs)


def test_a_compiled_graph_has_its_builder_s_schemas() -> None:
    class Input(TypedDict):
        question: str

    class State(Input):
        answer: str

    graph = StateGraph(State, input_schema=Input).add_node("n", lambda _: {}).add_edge(START, "n").compile()
    assert schema_of(graph).inputs == frozenset({"question"})


def test_the_reducer_of_messages_is_recognised_by_its_name() -> None:
    class Talk(TypedDict):
        messages: Annotated[list[Any], add_messages]

    graph = StateGraph(Talk).add_node("n", lambda _: {}).add_edge(START, "n").compile()
    assert schema_of(graph).merges_messages


def test_a_workflow_s_parameter_is_found_in_its_node() -> None:
    @entrypoint()
    async def talk(messages: Any) -> Any:
        return messages

    assert schema_of(talk).takes_list


def test_the_store_in_memory_keeps_its_items_in_this_attribute() -> None:
    store = InMemoryStore()
    store.put(("a",), "k", {"v": 1})
    assert isinstance(store._data["a",]["k"], Item)
