"""Human input: instead of CrewAI's console, the run is interrupted, and a later run brings the answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...runtime import events
from .session import CURRENT, Question, Session, new_question_id
from .translation import json_text

if TYPE_CHECKING:
    from contextvars import Token

    from ...runtime.context import RunInput


def interrupt(question_id: str, kind: str, message: str, **more: Any) -> Question:
    """Return a question that is put to the person as an interrupt of the run."""
    value = {"id": question_id, "kind": kind, "message": message, **more}
    return Question(id=question_id, ask=events.Custom(name=events.INTERRUPT, value=value))


def _ask(session: Session, kind: str, message: str, **more: Any) -> str:
    return session.ask(interrupt(new_question_id(), kind, message, **more))


class FlowQuestions:
    """Answers ``Flow.ask`` and ``@human_feedback``; outside of our runs CrewAI's own console does."""

    def request_input(self, message: str, flow: Any, metadata: dict[str, Any] | None = None) -> Any:
        """Answer ``Flow.ask``, in one of the run's threads."""
        session = CURRENT.get()
        if session is None:
            return _console().request_input(message, flow, metadata=metadata)
        more = {} if metadata is None else {"metadata": metadata}
        return _ask(session, "input", message, **more)

    def request_feedback(self, context: Any, flow: Any) -> Any:
        """Answer a method with ``@human_feedback``, in one of the run's threads.

        Raises:
            HumanFeedbackPending: If the flow has a store: it then waits there, not in this process.
        """
        session = CURRENT.get()
        if session is None:
            return _console().request_feedback(context, flow)
        if flow.persistence is not None:
            raise import_module("crewai.flow.async_feedback.types").HumanFeedbackPending(context=context)
        more = feedback_details(context)
        return _ask(session, "feedback", context.message, **more)


def feedback_details(context: Any) -> dict[str, Any]:
    """Return what a person needs to see to judge a method's output."""
    return {
        "method": context.method_name,
        "output": json_text(context.method_output),
        "options": list(context.emit or ()),
    }


def pending_interrupt(context: Any) -> events.Custom:
    """Return the event for a flow that waits for feedback in a store."""
    value = {
        "id": context.flow_id,
        "kind": "feedback",
        "message": context.message,
        **feedback_details(context),
    }
    return events.Custom(name=events.INTERRUPT, value=value)


def waiting_flow(flow: Any, run: RunInput) -> Any:
    """Return the flow of this kind that waits for feedback on the run's thread, restored from its store, or None.

    A flow without a store of its own waits in CrewAI's default one, which all flows of the machine share.
    """
    store = _default_store() if flow.persistence is None else flow.persistence
    found = store.load_pending_feedback(run.thread_id)
    kind = type(flow)
    if found is None or found[1].flow_class != f"{kind.__module__}.{kind.__name__}":
        return None
    return kind.from_pending(run.thread_id, store)


def _default_store() -> Any:
    try:
        return import_module("crewai.flow.persistence.factory").default_flow_persistence()
    except ImportError:  # CrewAI before 1.15 has this one default
        return import_module("crewai.flow.persistence").SQLiteFlowPersistence()


def install_for_flows() -> None:
    """Let flows that name no provider of their own ask through us."""
    config = import_module("crewai.flow.flow_config").flow_config
    questions = FlowQuestions()
    if config.input_provider is None:
        config.input_provider = questions
    if config.hitl_provider is None:
        config.hitl_provider = questions


def install_for_tasks(session: Session) -> Token[Any]:
    """Let tasks with ``human_input`` ask through ``session``, in the calling context."""
    human_input = import_module("crewai.core.providers.human_input")

    class TaskQuestions(human_input.SyncHumanInputProvider):  # type: ignore[misc, name-defined]
        """CrewAI's own loop of feedback and new attempts, with another way to ask."""

        def _handle_regular_feedback(self, current_answer: Any, initial_feedback: str, context: Any) -> Any:
            feedback, answer = initial_feedback, current_answer
            while feedback.strip():
                context.messages.append(context._format_feedback_message(feedback))  # noqa: SLF001 - its interface
                answer = context._invoke_loop()  # noqa: SLF001 - its interface
                feedback = self._question(answer)
            context.ask_for_human_input = False
            return answer

        def handle_feedback(self, formatted_answer: Any, context: Any) -> Any:
            return self._handle_regular_feedback(formatted_answer, self._question(formatted_answer), context)

        def _question(self, answer: Any) -> str:
            output = self._get_output_string(answer)
            return _ask(session, "task", "Is this result as you want it?", output=output)

    token: Token[Any] = human_input.set_provider(TaskQuestions())
    return token


def _console() -> Any:
    return import_module("crewai.flow.async_feedback.providers").ConsoleProvider()
