"""Measures what the provider costs per token, beside a bare ``graph.astream`` with the same modes.

Run by hand: ``python -m tests.integration.langgraph.measure_cost [TOKENS] [ROUNDS]``. Prints CPU microseconds per
token (the best of all rounds) and the ratio.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from copilotkit.langgraph import copilotkit_customize_config
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.langgraph.translation import STREAM_MODES
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.messages import TextMessage
from tests.integration.langgraph.scripted_model import ScriptedModel, call_parts


class State(MessagesState):
    doc: str


def graph_of(reply: list[Any], **policy: Any) -> Any:
    model = ScriptedModel(script=[reply])

    async def chat(state: State, config: RunnableConfig) -> dict[str, Any]:
        config = copilotkit_customize_config(config, **policy)
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    return StateGraph(State).add_node(chat).add_edge(START, "chat")


async def read(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


async def best(work: Callable[[int], Awaitable[None]], tokens: int, rounds: int) -> float:
    gc.collect()
    gc.freeze()  # as the server does: else a full collection takes longer than a round
    costs = []
    for number in range(rounds):
        start = time.process_time()
        await work(number)
        costs.append((time.process_time() - start) / tokens * 1e6)
    return min(costs)


HEAD = ("a message's", "graph.astream", "provider", "above it", "ratio")


async def compare(name: str, reply: list[Any], tokens: int, rounds: int, **policy: Any) -> tuple[str, ...]:
    bare = graph_of(reply, **policy).compile(checkpointer=InMemorySaver())
    provider = LangGraphProvider({"agent": graph_of(reply, **policy).compile()})

    async def run_bare(number: int) -> None:
        config: RunnableConfig = {"configurable": {"thread_id": str(number)}}
        given = {"messages": [HumanMessage("go")]}
        await read(bare.astream(given, config, stream_mode=STREAM_MODES, subgraphs=True))

    async def run_provider(number: int) -> None:
        said = TextMessage(role="user", content="go")
        run = RunInput(thread_id=str(number), run_id="r", messages=[said])
        await read(provider.execute_run("agent", run, RunContext()))

    first, second = await best(run_bare, tokens, rounds), await best(run_provider, tokens, rounds)
    return (name, f"{first:.1f} µs", f"{second:.1f} µs", f"{second - first:.1f} µs", f"{second / first:.2f}")


async def rows(tokens: int, rounds: int) -> list[tuple[str, ...]]:
    words = ["word "] * tokens
    arguments = call_parts("write", "w1", '{"text": "', *words, '"}')
    blocks = [AIMessageChunk([{"type": "text", "text": word}]) for word in words]
    predicted = [{"state_key": "doc", "tool": "write", "tool_argument": "text"}]
    return [
        await compare("text", list(words), tokens, rounds),
        await compare("text blocks", blocks, tokens, rounds),
        await compare("tool arguments", list(arguments), tokens, rounds),
        await compare("predicted state", list(arguments), tokens, rounds, emit_intermediate_state=predicted),
    ]


def main(tokens: int, rounds: int) -> None:
    for row in (HEAD, *asyncio.run(rows(tokens, rounds))):
        print("  ".join(cell.ljust(16) for cell in row))  # noqa: T201 - run by hand


if __name__ == "__main__":
    main(*(int(given) for given in sys.argv[1:] or (2000, 7)))
