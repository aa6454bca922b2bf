"""A LangGraph agent that plays the benchmark's script, as ``runtime`` and behind ``ag_ui_langgraph`` as ``app``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint  # type: ignore[import-untyped]
from fastapi import FastAPI
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from scripts.benchmark.pattern import AGENT


class ScriptModel(BaseChatModel):
    """Streams the pieces of text of the script that it is sent, one at each turn of the loop."""

    @property
    def _llm_type(self) -> str:
        return "script"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for step in json.loads(messages[-1].text):
            piece = step["event"].get("delta")
            if piece is None:
                continue
            await asyncio.sleep(0)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
            if run_manager is not None:
                await run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk


async def _chat(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await ScriptModel().ainvoke(state["messages"])]}


_graph = StateGraph(MessagesState).add_node("chat", _chat).add_edge(START, "chat")

runtime = CopilotRuntime(
    providers=[LangGraphProvider({AGENT: _graph.compile(checkpointer=InMemorySaver())})], store="memory://"
)
app = FastAPI()
add_langgraph_fastapi_endpoint(app, LangGraphAgent(name=AGENT, graph=_graph.compile(checkpointer=InMemorySaver())))
