"""What a crew is started with, and lent for one run: the page's tools, a memory of the thread's own."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...runtime.messages import TextMessage
from .session import Question, Session

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ...runtime.context import RunInput, Tool
    from .translation import Translator


def crew_inputs(run: RunInput, placeholders: Collection[str]) -> dict[str, Any]:
    """The values for the placeholders in a crew's texts.

    The page's state comes first; ``{message}`` is what the person said last, ``{conversation}`` the whole talk.
    A placeholder that nothing fills, as ``{topic}`` in most examples, gets what the person said last.
    """
    said = [message for message in run.messages if isinstance(message, TextMessage) and message.role != "system"]
    last = next((message.content for message in reversed(said) if message.role == "user"), "")
    conversation = "\n".join(f"{message.role}: {message.content}" for message in said)
    known = {"message": last, "conversation": conversation, **run.state}
    return {**dict.fromkeys(placeholders, last), **known}


@contextmanager
def lent(crew: Any, run: RunInput, session: Session, translator: Translator, *, stream: bool) -> Iterator[None]:
    """Fits ``crew`` out for one run, and takes everything back afterwards."""
    tools = [page_tool(tool, session, translator) for tool in run.tools]
    path = thread_scope(run.thread_id)
    with ExitStack() as back:
        _set(back, crew, "stream", value=False)
        _scope_memory(back, crew, "_memory", path)
        for agent in crew.agents:
            _scope_memory(back, agent, "memory", path)
            if stream and hasattr(agent.llm, "stream"):
                agent.llm.stream = True
        for holder in (*crew.agents, *crew.tasks) if tools else ():
            _set(back, holder, "tools", value=[*(holder.tools or ()), *tools])
        yield


def page_tool(tool: Tool, session: Session, translator: Translator) -> Any:
    """A tool of CrewAI's that the page runs: the call is streamed to it, its result comes with a later run."""
    base_tool = import_module("crewai.tools").BaseTool
    schema = import_module("crewai.utilities.pydantic_schema_utils").create_model_from_schema(
        {"title": f"{tool.name}Arguments", "type": "object", "properties": {}, **tool.parameters}
    )

    class PageTool(base_tool):  # type: ignore[misc, valid-type]
        """Waits for the page."""

        def _run(self, **arguments: Any) -> str:
            call_id = translator.running_call(tool.name, arguments) or translator.running_name(tool.name)
            return session.ask(Question(id=call_id))

    return PageTool(name=tool.name, description=tool.description, args_schema=schema)


def page_names(tools: Iterable[Tool]) -> dict[str, str]:
    """What the page calls its tools, by what CrewAI tells its models: ``changeColour`` is ``change_colour`` there."""
    sanitize = import_module("crewai.utilities.string_utils").sanitize_tool_name
    return {sanitize(tool.name): tool.name for tool in tools}


def thread_scope(thread_id: str) -> str:
    """The path that a thread's memories are kept under. A digest, because CrewAI's own names are lossy."""
    return f"/thread/{hashlib.sha256(thread_id.encode()).hexdigest()[:32]}"


def _scope_memory(back: ExitStack, owner: Any, attribute: str, path: str) -> None:
    memory = getattr(owner, attribute, None)
    if memory is not None and hasattr(memory, "scope"):
        root = (getattr(memory, "root_scope", None) or "").rstrip("/")
        _set(back, owner, attribute, value=memory.scope(f"{root}{path}"))


def _set(back: ExitStack, owner: Any, attribute: str, *, value: Any) -> None:
    back.callback(setattr, owner, attribute, getattr(owner, attribute))
    setattr(owner, attribute, value)
