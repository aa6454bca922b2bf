"""A conversation with an agent, from the terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec

from ...providers.models import ModelProvider
from ...runtime import events
from ...runtime.context import Resume, RunContext, RunInput
from ...runtime.errors import AgentNotFoundError, NoModelError
from ...runtime.messages import Message, TextMessage
from ...runtime.request import RunRequest
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.transcript import Transcript
from ..runtime import CopilotRuntime
from .summary import state_file
from .terminal_input import InputLines, interruptible

INTERRUPTED = 130
"""The exit status of a process that Ctrl+C ended."""


class Conversation:
    """Talks to one agent in one thread: prints its messages, its calls and its questions.

    Args:
        runtime: A runtime that has been started.
        agent_name: The agent; None for the model.
        thread_id: The thread.
        write: Takes text as it comes.
        report: Takes the message of a run that failed.
    """

    def __init__(
        self,
        runtime: CopilotRuntime,
        agent_name: str | None,
        thread_id: str,
        write: Callable[[str], object],
        report: Callable[[str], object],
    ) -> None:
        self._runtime = runtime
        self._agent_name = agent_name
        self._thread_id = thread_id
        self._write, self._report = write, report
        self.failed = False
        """Whether a run failed."""
        self._messages: list[Message] = []
        self._state: dict[str, Any] = {}
        self._question: str | None = None

    async def recall(self) -> None:
        """Go on with what is kept of the thread."""
        if self._agent_name is None:
            return
        kept = await self._runtime.load_agent_state(thread_id=self._thread_id, agent_name=self._agent_name)
        if kept is not None:
            self._messages, self._state = [*kept.messages], kept.state
            for question in kept.interrupts or ():
                self._show(question)

    async def send(self, text: str) -> bool:
        """Send a message, or the answer to the question that the last run left open, and print what comes back.

        Returns:
            True, once the run has ended.
        """
        question, self._question = self._question, None
        resume = []
        if question is None:
            self._messages.append(TextMessage(role="user", content=text))
        else:
            resume = [Resume(name="LangGraphInterruptEvent", value=question, response=text, answer=text)]
        given = RunInput(
            thread_id=self._thread_id,
            run_id=str(uuid4()),
            messages=[*self._messages],
            state=self._state,
            resume=resume,
        )
        request = RunRequest(agent_name=self._agent_name, input=given, context=RunContext())
        handle = await self._runtime.service.start(request)
        transcript = Transcript()
        try:
            await self._read(handle, transcript)
        finally:
            self._keep(transcript)
        return True

    def _keep(self, transcript: Transcript) -> None:
        """Keep what a run has added, as other clients do, for the next one."""
        thread = transcript.thread
        self._messages = [*self._messages, *transcript.messages()] if thread is None else [*thread]
        if transcript.state is not None:
            self._state = transcript.state

    async def _read(self, handle: RunHandle, transcript: Transcript) -> None:
        try:
            while batch := await handle.read():
                for event in batch:
                    transcript.record(event)
                    self._show(event)
        finally:
            handle.close()
            await handle.cancel()
        self._write("\n")

    def _show(self, event: Any) -> None:
        match event:
            case events.TextMessageContent():
                self._write(event.delta)
            case events.TextMessageEnd() | events.ToolCallEnd():
                self._write("\n")
            case events.ToolCallStart():
                self._write(f"[calls {event.tool_call_name}] ")
            case events.ToolCallArgs():
                self._write(event.delta)
            case events.Custom(name=events.INTERRUPT | events.COPILOTKIT_INTERRUPT):
                self._question = _text(event.value)
                self._write(f"[asks] {self._question}\n")
            case events.RunError():
                self.failed = True
                self._report(f"[error] {event.message}\n")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


async def converse(runtime: CopilotRuntime, agent_name: str | None, thread_id: str | None) -> int:
    """Read lines from standard input and answer each, until the end of the input or Ctrl+C.

    Ctrl+C ends a run that goes on; on a terminal the conversation goes on then.

    Args:
        runtime: The runtime.
        agent_name: The agent; None for the first one, or the model without agents.
        thread_id: The thread; None for a new one.

    Returns:
        The exit status: 1 if a run failed, 130 if Ctrl+C ended the conversation.

    Raises:
        AgentNotFoundError: The agent does not exist.
        NoModelError: There is neither an agent nor a model.
        CopilotKitError: The model cannot answer: its key or its package is missing.
    """
    _log_what_is_not_printed()
    async with runtime:
        chosen = await _chosen(runtime, agent_name)
        thread = thread_id or str(uuid4())
        conversation = Conversation(runtime, chosen, thread, _write, _write_error)
        if thread_id is not None:
            await conversation.recall()
        lines = InputLines()
        _prompt(f"Talking to {chosen or 'the model'}. Ctrl+C stops an answer; an empty line, or Ctrl+D, ends it all.\n")
        _prompt(f"Thread {thread}, in {runtime.store_name}{state_file(runtime.store_name)}\n")
        while True:
            _prompt("> ")
            line = await interruptible(lines.next())
            if line is None:
                _prompt("\n")
                return INTERRUPTED
            if not line.strip():
                _prompt("" if line else "\n")
                return int(conversation.failed)
            if not await interruptible(conversation.send(line.strip())):
                if not sys.stdin.isatty():
                    return INTERRUPTED
                _write("[stopped]\n")


async def _chosen(runtime: CopilotRuntime, name: str | None) -> str | None:
    names = [agent.name for agent in await runtime.discover_agents()]
    if name is not None and name not in names:
        raise AgentNotFoundError(name, names)
    if name is not None or names:
        return name or names[0]
    if runtime.model_name is None:
        raise NoModelError
    if isinstance(model := runtime.service.model, ModelProvider):
        await model.check()
    return None


_PRINTED = ("model_not_ready", "run_failed")
"""What the log warns of with the words that the conversation prints; with a stack they are errors, and logged."""


def _log_what_is_not_printed() -> None:
    """Log to standard error as Python does by default, unless the target has set up logging of its own."""
    if logging.root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: record.levelno > logging.WARNING or record.__dict__.get("event") not in _PRINTED)
    logging.root.addHandler(handler)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _write_error(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _prompt(text: str) -> None:
    if sys.stdin.isatty():
        _write(text)
