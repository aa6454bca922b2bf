"""Inputs of a crew, and what it is lent for one run: the client's tools, a memory of the thread's own."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...runtime.errors import MisuseError
from ...runtime.media import messages_for
from ...runtime.messages import TextMessage
from .session import Question, Session
from .templates import CHAT_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ...runtime.context import RunInput, Tool
    from .thread_memory import ThreadMemories
    from .translation import Translator


def crew_inputs(run: RunInput, placeholders: Collection[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for the placeholders in a crew's texts.

    Those that the crew's author gave come first, then the client's state; ``{message}`` is the user's last message,
    ``{conversation}`` the whole talk. One placeholder that nothing fills, as ``{topic}`` in most examples, gets what
    the user sent last.

    Args:
        run: The run.
        placeholders: The names of the placeholders.
        given: Values that the author of the crew gave.

    Raises:
        UnsupportedMediaError: The person has just attached something: crews read texts alone.
        MisuseError: Nothing fills several of the placeholders, and one message cannot be meant for all of them.
    """
    messages_for(run.messages, frozenset())
    texts = [message for message in run.messages if isinstance(message, TextMessage) and message.role != "system"]
    last = next((message.content for message in reversed(texts) if message.role == "user"), "")
    conversation = "\n".join(f"{message.role}: {message.content}" for message in texts)
    state = {key: value for key, value in run.state.items() if key != CHAT_MESSAGES}
    inputs = {"message": last, "conversation": conversation, **state, **given}
    missing = sorted(name for name in placeholders if name not in inputs)
    if len(missing) > 1:
        raise MisuseError(
            f"Nothing fills these placeholders of the crew: {', '.join(missing)}. Fill them from the client's state, or"
            " with CrewAIProvider(inputs=...); one of them may be left for the user's message."
        )
    return {**inputs, **dict.fromkeys(missing, last)}


@contextmanager
def lent(
    crew: Any, run: RunInput, session: Session, memories: ThreadMemories, translator: Translator, *, stream: bool
) -> Iterator[None]:
    """Equip ``crew`` for one run, and take everything back afterwards."""
    tools = [client_tool(tool, session, translator) for tool in run.tools]
    with ExitStack() as back:
        _set(back, crew, "stream", value=False)
        memories.lend(back, crew, "_memory")
        for agent in crew.agents:
            memories.lend(back, agent, "memory")
            if stream and hasattr(agent.llm, "stream"):
                agent.llm.stream = True
        for holder in (*crew.agents, *crew.tasks) if tools else ():
            _set(back, holder, "tools", value=[*(holder.tools or ()), *tools])
        yield


def client_tool(tool: Tool, session: Session, translator: Translator) -> Any:
    """Return a tool of CrewAI's that the client runs: it is streamed the call, and a later run brings the result."""
    base_tool = import_module("crewai.tools").BaseTool
    schema = import_module("crewai.utilities.pydantic_schema_utils").create_model_from_schema(
        {"title": f"{tool.name}Arguments", "type": "object", "properties": {}, **tool.parameters}
    )

    class ClientTool(base_tool):  # type: ignore[misc, valid-type]
        """Waits for the client."""

        def _run(self, **arguments: Any) -> str:
            call_id = translator.running_call(tool.name, arguments) or translator.running_name(tool.name)
            return session.ask(Question(id=call_id))

    return ClientTool(name=tool.name, description=tool.description, args_schema=schema)


def client_tool_names(tools: Iterable[Tool]) -> dict[str, str]:
    """Return the client's names of its tools by CrewAI's: ``changeColour`` is ``change_colour`` there."""
    sanitize = import_module("crewai.utilities.string_utils").sanitize_tool_name
    return {sanitize(tool.name): tool.name for tool in tools}


def _set(back: ExitStack, owner: Any, attribute: str, *, value: Any) -> None:
    back.callback(setattr, owner, attribute, getattr(owner, attribute))
    setattr(owner, attribute, value)
