"""The agents that the end-to-end tests talk to: real graphs over a chat model that answers by rule."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

from copilotkit.langgraph import copilotkit_interrupt
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.providers.langgraph import LangGraphProvider

FOX = "The quick brown fox (naïve, 素早い, 🦊) jumps over the lazy dog."
SECONDS_PER_PIECE = 0.02

cancelled_at: dict[str, float] = {}
"""When runs of ``endless`` were cancelled: Unix time in milliseconds, by thread id."""


class Call(NamedTuple):
    """A tool call to answer with; without an id of its own it gets a new one."""

    name: str
    arguments: dict[str, Any]
    id: str | None = None


Rule: TypeAlias = Callable[[Sequence[BaseMessage], Sequence[str]], Iterable[str] | Call]


class RuleModel(BaseChatModel):
    """Answers by ``rule``, a function of the messages and of the names of the tools it may call."""

    rule: Rule
    tools: tuple[str, ...] = ()

    @property
    def _llm_type(self) -> str:
        return "rule"

    def bind_tools(self, tools: Sequence[Any], **_kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """The same model with these tools."""
        names = tuple(convert_to_openai_tool(tool)["function"]["name"] for tool in tools)
        return self.model_copy(update={"tools": names})

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for message in _pieces(self.rule(messages, self.tools)):
            await asyncio.sleep(SECONDS_PER_PIECE)
            yield ChatGenerationChunk(message=message)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("this model is only streamed")


def _pieces(answer: Iterable[str] | Call) -> Iterator[AIMessageChunk]:
    id_ = f"rule-{uuid4()}"
    yield from _call(answer, id_) if isinstance(answer, Call) else _text(answer, id_)
    yield AIMessageChunk(content="", id=id_, chunk_position="last")


def _text(words: Iterable[str], id_: str) -> Iterator[AIMessageChunk]:
    for word in words:
        yield AIMessageChunk(content=word, id=id_)


def _call(call: Call, id_: str) -> Iterator[AIMessageChunk]:
    opening = tool_call_chunk(name=call.name, args="", id=call.id or f"call-{uuid4()}", index=0)
    arguments = re.findall(r".{1,4}", json.dumps(call.arguments))
    for chunk in (opening, *(tool_call_chunk(args=piece, index=0) for piece in arguments)):
        yield AIMessageChunk(content="", id=id_, tool_call_chunks=[chunk])


class State(MessagesState, total=False):
    """What the agents know: ``copilotkit`` is what the page offers, ``count`` is the counter's."""

    copilotkit: dict[str, Any]
    count: int


Node: TypeAlias = Callable[..., Awaitable[dict[str, Any] | None]]
Agent: TypeAlias = CompiledStateGraph[Any, Any, Any, Any]


def agent(**nodes: Node) -> Agent:
    """A graph that goes through its nodes in order."""
    builder = StateGraph(State)
    builder.add_sequence(list(nodes.items()))
    builder.add_edge(START, next(iter(nodes)))
    return builder.compile(checkpointer=InMemorySaver())


def answering(rule: Rule) -> Node:
    """A node in which a model answers, with the page's tools at hand."""

    async def answer(state: State) -> dict[str, Any]:
        offered = state.get("copilotkit", {}).get("actions", [])
        return {"messages": [await RuleModel(rule=rule).bind_tools(offered).ainvoke(state["messages"])]}

    return answer


def words(text: str) -> list[str]:
    """The text in pieces, as models stream it."""
    return re.findall(r"\S+\s*", text)


def speak(_messages: Sequence[BaseMessage], _tools: Sequence[str]) -> Iterable[str]:
    """The same sentence, always."""
    return words(FOX)


def paint(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Iterable[str] | Call:
    """Paints the page if it may, and repeats what the page has to say to that."""
    if isinstance(messages[-1], ToolMessage):
        return words(f"The page says: {messages[-1].text}")
    if "changeBackground" not in tools:
        return words("There is no such tool.")
    return Call("changeBackground", {"color": "teal"})


def invite(messages: Sequence[BaseMessage], _tools: Sequence[str]) -> Iterable[str] | Call:
    """Has the person approve of cake, by the page's tool, and repeats the answer."""
    if isinstance(messages[-1], ToolMessage):
        return words(f"The person says: {messages[-1].text}")
    return Call("approve", {"what": "cake"})


def view(messages: Sequence[BaseMessage], _tools: Sequence[str]) -> Iterable[str]:
    """How many pictures the person has sent."""
    blocks = [block for message in messages if isinstance(message.content, list) for block in message.content]
    pictures = [block for block in blocks if isinstance(block, dict) and block["type"] == "image_url"]
    return words(f"Pictures seen: {len(pictures)}.")


def chat(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Iterable[str] | Call:
    """Suggests when the page asks for that, paints when asked to, else repeats what was sent."""
    for suggest in ("extract", "copilotkitSuggest"):
        if suggest in tools:
            return Call(suggest, {"suggestions": [{"title": "Paint it", "message": "Please paint it."}]})
    last = messages[-1]
    if isinstance(last, ToolMessage) or "paint" in last.text:
        return paint(messages, tools)
    return words(f"You said: {last.text}")


def go_on(_messages: Sequence[BaseMessage], _tools: Sequence[str]) -> Iterable[str]:
    """Never ends."""
    return itertools.repeat("on and on ")


def report(messages: Sequence[BaseMessage], _tools: Sequence[str]) -> Iterable[str]:
    """When the endless run of the thread that was asked for was cancelled."""
    moment = cancelled_at.get(messages[-1].text)
    return words("not cancelled" if moment is None else f"cancelled {moment:.0f}")


def break_off(messages: Sequence[BaseMessage], _tools: Sequence[str]) -> Iterator[str]:
    """Begins, and fails if it was asked to fail in the middle."""
    yield from words("It began")
    fail_if(messages, "middle")


def fail_if(messages: Sequence[BaseMessage], moment: str) -> None:
    """Fails if the person asked for a failure at this moment."""
    if any(message.text == moment for message in messages):
        raise RuntimeError("a secret that no page may see")


async def count(state: State) -> dict[str, int]:
    """One more."""
    return {"count": state.get("count", 0) + 1}


async def babble(state: State, config: RunnableConfig) -> dict[str, Any] | None:
    """Talks without end, and notes when it was made to stop."""
    try:
        return await answering(go_on)(state)
    except asyncio.CancelledError:
        cancelled_at[config["configurable"]["thread_id"]] = time.time() * 1000
        raise


async def ask(_state: State) -> dict[str, Any]:
    """Asks the person, and sends what the answer was."""
    return await say(f"You chose {interrupt('Which colour?')}.")


async def seek_approval(_state: State) -> dict[str, Any]:
    """Asks the page, by a tool call, and sends what the answer was."""
    answer, _ = copilotkit_interrupt(action="approve", args={"what": "cake"})
    return await say(f"The page said {answer}.")


async def say(text: str) -> dict[str, Any]:
    """What a node returns that has a model say just this."""
    return {"messages": [await RuleModel(rule=lambda _messages, _tools: words(text)).ainvoke("")]}


async def fail_before(state: State) -> None:
    """Fails before anything was sent, if asked to."""
    fail_if(state["messages"], "before")


async def fail_after(state: State) -> None:
    """Fails when all was sent, if asked to."""
    fail_if(state["messages"], "after")


class Keeper(AgentProvider):
    """Counts a page's turns without a memory of its own: the page brings the count back in its extensions."""

    name = "keeper"
    reports_extensions = True

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="keeper")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Tells the count."""
        turn = int(run.extensions.get("openaiAssistantAPI", {}).get("runId", 0)) + 1
        yield events.Custom(
            name=events.EXTENSIONS, value={"openaiAssistantAPI": {"threadId": run.thread_id, "runId": str(turn)}}
        )
        message_id = str(uuid4())
        yield events.TextMessageStart(message_id=message_id)
        yield events.TextMessageContent(message_id=message_id, delta=f"This is turn {turn}.")


runtime = CopilotRuntime(
    providers=[
        Keeper(),
        LangGraphProvider(
            {
                "approver": agent(seek_approval=seek_approval),
                "asker": agent(ask=ask),
                "counter": agent(first=count, second=count),
                "endless": agent(babble=babble),
                "fragile": agent(before=fail_before, middle=answering(break_off), after=fail_after),
                "host": agent(invite=answering(invite)),
                "painter": agent(paint=answering(paint)),
                "speaker": agent(speak=answering(speak)),
                "viewer": agent(view=answering(view)),
                "witness": agent(report=answering(report)),
            }
        ),
    ],
    model=RuleModel(rule=chat),
)
