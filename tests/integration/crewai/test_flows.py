from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from ag_ui.core import EventType, StateSnapshotEvent, TextMessageChunkEvent, ToolCallChunkEvent
from crewai import CrewOutput, TaskOutput
from crewai.events import crewai_event_bus
from crewai.events.base_events import BaseEvent
from crewai.flow import Flow, HumanFeedbackResult, human_feedback, listen, persist, start
from crewai.flow.async_feedback.types import HumanFeedbackPending
from crewai.flow.persistence import SQLiteFlowPersistence
from pydantic import BaseModel

from copilotkit_runtime.providers.crewai import (
    CopilotKitState,
    CrewAIProvider,
    StateItem,
    copilotkit_emit_message,
    copilotkit_emit_state,
    copilotkit_emit_tool_call,
    copilotkit_emit_tool_result,
    copilotkit_exit,
    copilotkit_predict_state,
    copilotkit_stream,
)
from copilotkit_runtime.providers.crewai.flow_state import UNANSWERED
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import ContextItem, RunContext
from copilotkit_runtime.runtime.errors import MisuseError
from copilotkit_runtime.runtime.messages import ImageMessage, TextMessage, ToolCallMessage, ToolResultMessage

from .guests import PAINT, asking, collect, crew_of, of_kind, resuming, said
from .openai_service import OpenAIService, Reply, says

if TYPE_CHECKING:
    from pathlib import Path


class Counting(BaseModel):
    id: str = ""
    count: int = 0
    note: str | None = None


class Counter(Flow[Counting]):
    @start()
    def first(self) -> None:
        self.state.count += 1

    @listen(first)
    async def second(self) -> str:
        self.state.count += 1
        await asyncio.sleep(0)
        return f"counted to {self.state.count}"


async def run_flow(flow: Any, run: Any = None) -> list[Any]:
    return await collect(CrewAIProvider({"a": flow}), run or asking())


async def test_methods_are_steps_and_the_state_follows_them() -> None:
    seen = await run_flow(Counter, asking(state={"count": 5, "unknown": 1}))
    assert seen[:6] == [
        events.StepStarted(step_name="first"),
        events.StateSnapshot(snapshot={"count": 6, "note": None}),
        events.StepFinished(step_name="first"),
        events.StepStarted(step_name="second"),
        events.StateSnapshot(snapshot={"count": 7, "note": None}),
        events.StepFinished(step_name="second"),
    ]
    assert said(seen) == ["counted to 7"]


async def test_a_flow_may_be_an_object_used_again_and_again() -> None:
    provider = CrewAIProvider({"a": Counter()})
    for count in (0, 10):
        assert said(await collect(provider, asking(state={"count": count}))) == [f"counted to {count + 2}"]


async def test_an_unstructured_state_takes_everything_from_the_client() -> None:
    class Loose(Flow):
        @start()
        def only(self) -> None:
            self.state["seen"] = sorted(self.state)

    (snapshot,) = of_kind(await run_flow(Loose, asking(state={"mine": {"deep": 1}})), events.StateSnapshot)
    assert snapshot.snapshot["mine"] == {"deep": 1}
    assert {"messages", "copilotkit", "id", "mine"} <= set(snapshot.snapshot["seen"])


async def test_a_copilotkit_flow_sees_messages_actions_and_context() -> None:
    known: dict[str, Any] = {}

    class Chat(Flow[CopilotKitState]):
        @start()
        def only(self) -> None:
            known.update(self.state.model_dump())

    messages = [
        TextMessage(id="s", role="system", content="page prompt"),
        TextMessage(id="u", role="user", content="hi"),
        ImageMessage(id="i", role="user", format="png", bytes="AAAA"),
        ToolCallMessage(id="c", name="f", arguments={"x": 1}, parent_message_id="a"),
        ToolResultMessage(id="r", tool_call_id="c", tool_name="f", result="ok"),
    ]
    context = [ContextItem(description="who", value="me")]
    await run_flow(Chat, asking(messages=messages, tools=[PAINT], context=context))
    assert known["messages"] == [
        {"id": "u", "role": "user", "content": "hi"},
        {
            "id": "i",
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        },
        {
            "id": "a",
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
        },
        {"id": "r", "role": "tool", "content": "ok", "tool_call_id": "c"},
    ]
    assert known["copilotkit"]["actions"][0]["function"]["name"] == "paint"
    assert known["copilotkit"]["context"] == [{"description": "who", "value": "me"}]
    assert known["id"] == "t"


async def test_a_call_that_the_person_left_behind_has_a_result_where_vendors_look_for_it() -> None:
    class Keeper(Flow[CopilotKitState]):
        @start()
        def begin(self) -> None:
            seen.extend(dict(message) for message in self.state.messages)

    seen: list[Any] = []
    thread = [
        TextMessage(id="u1", role="user", content="paint"),
        ToolCallMessage(id="c1", name="paint", arguments={}, parent_message_id="a"),
        ToolCallMessage(id="c2", name="paint", arguments={}, parent_message_id="a"),
        TextMessage(id="u2", role="user", content="never mind"),
        ToolResultMessage(id="r1", tool_call_id="c1", tool_name="paint", result="late"),
        ToolCallMessage(id="c3", name="paint", arguments={}),
    ]
    await run_flow(Keeper, asking(messages=thread))
    assert [message.get("tool_call_id", message["role"]) for message in seen] == [
        "user",
        "assistant",
        "c1",
        "c2",
        "user",
        "assistant",
    ]
    assert [message["content"] for message in seen if message["role"] == "tool"] == ["late", UNANSWERED]


async def test_the_authors_functions_reach_the_client_in_their_order() -> None:
    class Author(Flow[CopilotKitState]):
        @start()
        async def only(self) -> None:
            progress = {"done": False}
            await copilotkit_emit_state(progress)
            progress["done"] = True
            await copilotkit_emit_message("half way")
            await copilotkit_predict_state({"doc": {"tool_name": "write", "tool_argument": "text"}})
            await copilotkit_predict_state([StateItem(state_key="doc", tool="write")])
            await copilotkit_emit_tool_call(name="paint", args={"color": "red"}, tool_call_id="c")
            await copilotkit_emit_tool_result("c", "painted", message_id="m")
            await copilotkit_exit()

    seen = await run_flow(Author)
    assert of_kind(seen, events.StateSnapshot)[0].snapshot == {"done": False}
    assert said(seen) == ["half way"]
    predicted = [{"state_key": "doc", "tool": "write", "tool_argument": "text"}]
    customs = of_kind(seen, events.Custom)
    assert customs[0] == events.Custom(name=events.PREDICT_STATE, value=predicted)
    assert customs[1].value[0]["tool_argument"] is None
    assert customs[2] == events.Custom(name=events.EXIT, value=True)
    kinds = [type(event) for event in seen]
    assert kinds.index(events.ToolCallEnd) < kinds.index(events.ToolCallResult) < kinds.index(events.StepFinished)


async def test_what_a_flow_shows_ahead_of_its_state_stays_until_a_later_method_or_the_end() -> None:
    class Ahead(Flow[Counting]):
        @start()
        async def first(self) -> None:
            await copilotkit_emit_state({"progress": 1})

        @listen(first)
        def second(self) -> None:
            self.state.count = 5

    snapshots = [event.snapshot for event in of_kind(await run_flow(Ahead), events.StateSnapshot)]
    assert snapshots == [{"progress": 1}, {"count": 5, "note": None}]


async def test_the_authors_functions_do_nothing_outside_of_a_run() -> None:
    assert await copilotkit_emit_state({"a": 1}) is True
    assert await copilotkit_exit() is True
    with pytest.raises(MisuseError, match="non-empty"):
        await copilotkit_emit_tool_call(name=" ", args={})
    with pytest.raises(MisuseError, match="JSON"):
        await copilotkit_emit_tool_call(name="f", args={"x": object()})


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_completion_is_shown_while_it_is_read_and_returned_whole(is_async: bool) -> None:
    answers: list[Any] = []
    calls = (("c1", "paint", '{"color":"red"}'), ("c2", "paint", '{"color":"blue"}'))

    class Chat(Flow[CopilotKitState]):
        @start()
        async def only(self) -> None:
            from openai import AsyncOpenAI, OpenAI

            client = (AsyncOpenAI if is_async else OpenAI)(base_url=model.base_url, api_key="none")
            opened = client.chat.completions.create(model="gpt-4o", messages=self.state.messages, stream=True)
            answer = await copilotkit_stream(await opened if is_async else opened)
            answers.append(answer)
            self.state.messages.append(answer.choices[0].message)
            await client.close() if is_async else client.close()

    async with OpenAIService(lambda _: Reply(tokens=("now ", "red"), calls=calls)) as model:
        seen = await run_flow(Chat)
    message = answers[0].choices[0].message
    assert (message.content, message["role"]) == ("now red", "assistant")
    assert [call.function.arguments for call in message.tool_calls] == ['{"color":"red"}', '{"color":"blue"}']
    assert said(seen) == ["now red"]
    assert [event.tool_call_id for event in of_kind(seen, events.ToolCallStart)] == ["c1", "c2"]
    thread = seen[-1].messages
    (streamed,) = of_kind(seen, events.TextMessageStart)
    assert [entry["role"] for entry in thread] == ["user", "assistant"]
    assert thread[1]["id"] == streamed.message_id
    assert [call["id"] for call in thread[1]["toolCalls"]] == ["c1", "c2"]


async def test_an_answer_that_was_not_streamed_is_returned_as_it_is() -> None:
    class Whole:
        choices: tuple[()] = ()

    whole = Whole()
    assert await copilotkit_stream(whole) is whole
    with pytest.raises(MisuseError):
        await copilotkit_stream(5)


class Bridge:
    """Events as ``ag_ui_crewai`` puts them on CrewAI's bus."""

    class Text(BaseEvent, TextMessageChunkEvent):
        pass

    class Call(BaseEvent, ToolCallChunkEvent):
        pass

    class State(BaseEvent, StateSnapshotEvent):
        pass


async def test_flows_written_for_the_agui_bridge_run_too() -> None:
    class Bridged(Flow[CopilotKitState]):
        @start()
        def only(self) -> None:
            kind = EventType
            for part in ("a", "b"):
                chunk = Bridge.Text(type=kind.TEXT_MESSAGE_CHUNK, message_id="m", delta=part)
                crewai_event_bus.emit(self, chunk)
            call = Bridge.Call(type=kind.TOOL_CALL_CHUNK, tool_call_id="c", tool_call_name="f", delta="{}")
            crewai_event_bus.emit(self, call)
            crewai_event_bus.emit(None, Bridge.State(type=kind.STATE_SNAPSHOT, snapshot={"x": 1}))

    seen = await run_flow(Bridged)
    assert seen[1:9] == [
        events.TextMessageStart(message_id="m"),
        events.TextMessageContent(message_id="m", delta="a"),
        events.TextMessageContent(message_id="m", delta="b"),
        events.TextMessageEnd(message_id="m"),
        events.ToolCallStart(tool_call_id="c", tool_call_name="f"),
        events.ToolCallArgs(tool_call_id="c", delta="{}"),
        events.ToolCallEnd(tool_call_id="c"),
        events.StateSnapshot(snapshot={"x": 1}),
    ]


async def test_a_crew_inside_a_flow_is_a_step_of_it() -> None:
    class Outer(Flow[Counting]):
        @start()
        async def work(self) -> None:
            crew = crew_of(model.base_url)()
            await crew.kickoff_async(inputs={"topic": "tea"})

    async with OpenAIService(lambda _: says("tea is a drink")) as model:
        seen = await run_flow(Outer)
    steps = [event.step_name for event in of_kind(seen, events.StepStarted)]
    assert steps == ["work", "crew", "write", "Writer"]


async def test_ask_interrupts_the_run_and_continues_with_the_answer() -> None:
    class Asking(Flow[Counting]):
        @start()
        def only(self) -> str:
            name = self.ask("Your name?", metadata={"kind": "name"})
            colour = self.ask("Your colour?")
            return f"{name} likes {colour}"

    provider = CrewAIProvider({"a": Asking})
    first = await collect(provider, asking())
    second = await collect(provider, resuming("Ada"))
    third = await collect(provider, resuming("red"))
    (asked,) = of_kind(first, events.Custom)
    assert (asked.value["message"], asked.value["metadata"]) == ("Your name?", {"kind": "name"})
    assert of_kind(second, events.Custom)[0].value["message"] == "Your colour?"
    assert said(third) == ["Ada likes red"]
    steps = [[event.step_name for event in of_kind(seen, events.StepStarted)] for seen in (first, second, third)]
    assert steps == [["only"]] * 3


class Reviewed(Flow[Counting]):
    @start()
    @human_feedback(message="Good?")
    def draft(self) -> str:
        return "a draft"

    @listen(draft)
    def end(self) -> str:
        result = self.last_human_feedback
        return f"feedback: {result.feedback if result else None}"


async def test_human_feedback_interrupts_the_run() -> None:
    provider = CrewAIProvider({"a": Reviewed})
    (asked,) = of_kind(await collect(provider, asking()), events.Custom)
    assert asked.value["output"] == "a draft"
    assert said(await collect(provider, resuming("fine"))) == ["feedback: fine"]


async def test_feedback_for_a_flow_with_a_store_may_reach_another_process(tmp_path: Path) -> None:
    def stored() -> Any:
        return Reviewed(persistence=SQLiteFlowPersistence(str(tmp_path / "flows.db")))

    first, other = CrewAIProvider({"a": stored}), CrewAIProvider({"a": stored})
    (asked,) = of_kind(await collect(first, asking()), events.Custom)
    assert (asked.name, asked.value["id"]) == (events.INTERRUPT, "t")
    assert said(await collect(other, resuming("fine"))) == ["feedback: fine"]


class Later:
    """A provider that pauses the flow, as CrewAI documents it."""

    def request_feedback(self, context: Any, flow: Any) -> str:
        raise HumanFeedbackPending(context=context)


class Booking(Flow[CopilotKitState]):
    ran: ClassVar[list[str]] = []

    @start()
    @human_feedback(message="Which time?", llm=None, provider=Later())
    def propose(self) -> str:
        self.ran.append("propose")
        return "two slots"

    @listen(propose)
    @human_feedback(message="Sure?", llm=None, provider=Later())
    def check(self, result: HumanFeedbackResult) -> str:
        self.ran.append(f"check {result.feedback}")
        return "checked"

    @listen(check)
    def confirm(self, result: HumanFeedbackResult) -> str:
        self.ran.append(f"confirm {result.feedback}")
        return "booked"


class Other(Flow[CopilotKitState]):
    @start()
    @human_feedback(message="Which tea?", llm=None, provider=Later())
    def propose(self) -> str:
        return "two teas"

    @listen(propose)
    def end(self, result: HumanFeedbackResult) -> str:
        return f"tea {result.feedback}"


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own for CrewAI's default store."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    Booking.ran.clear()


@pytest.mark.usefixtures("storage")
async def test_a_flow_that_a_provider_of_its_own_pauses_goes_on_with_each_answer() -> None:
    (asked,) = of_kind(await collect(CrewAIProvider({"a": Booking}), asking()), events.Custom)
    assert asked.value["message"] == "Which time?"
    second = await collect(CrewAIProvider({"a": Booking}), resuming("Monday"))
    assert of_kind(second, events.Custom)[0].value["message"] == "Sure?"
    third = await collect(CrewAIProvider({"a": Booking}), resuming("yes"))
    assert Booking.ran == ["propose", "check Monday", "confirm yes"]
    assert said(third) == ["booked"]
    assert of_kind(third, events.StepStarted)[-1].step_name == "confirm"


@pytest.mark.usefixtures("storage")
async def test_flows_that_wait_on_one_thread_are_not_mistaken_for_each_other() -> None:
    await collect(CrewAIProvider({"a": Other}), asking())
    (asked,) = of_kind(await collect(CrewAIProvider({"a": Booking}), resuming("Monday")), events.Custom)
    assert asked.value["message"] == "Which time?"
    assert Booking.ran == ["propose"]


class Note(BaseModel):
    title: str
    lines: list[int]


RESULTS = [
    (Note(title="tea", lines=[1]), '{"title":"tea","lines":[1]}'),
    ({"title": "tea", "note": Note(title="x", lines=[])}, '{"title":"tea","note":{"title":"x","lines":[]}}'),
    (["green", "black"], '["green","black"]'),
    (CrewOutput(raw="a crew's words", tasks_output=[]), "a crew's words"),
    (TaskOutput(description="d", raw="a task's words", agent="a"), "a task's words"),
    (42, "42"),
    ("plain", "plain"),
]


@pytest.mark.parametrize(("result", "text"), RESULTS, ids=lambda value: type(value).__name__)
async def test_a_flows_result_is_shown(result: Any, text: str) -> None:
    class Returning(Flow[Counting]):
        @start()
        def only(self) -> Any:
            return result

    assert said(await run_flow(Returning)) == [text]


@pytest.mark.parametrize("result", [None, True, {}, [], "", "  ", object()], ids=lambda value: type(value).__name__)
async def test_an_empty_result_is_not_shown(result: Any) -> None:
    class Returning(Flow[Counting]):
        @start()
        def only(self) -> Any:
            return result

    assert said(await run_flow(Returning)) == []


async def test_a_flow_that_returns_its_state_does_not_show_it() -> None:
    class Returning(Flow[Counting]):
        @start()
        def only(self) -> Any:
            return self.state

    assert said(await run_flow(Returning)) == []


async def test_the_output_of_a_crew_in_a_flow_is_shown_once() -> None:
    class Outer(Flow[Counting]):
        @start()
        async def work(self) -> Any:
            return await crew_of(model.base_url)().kickoff_async(inputs={"topic": "tea"})

    async with OpenAIService(lambda _: says("tea is a drink")) as model:
        assert said(await run_flow(Outer)) == ["tea is a drink"]


async def test_a_bridges_state_is_shown_without_what_the_runtime_put_in() -> None:
    class State(BaseEvent, StateSnapshotEvent):  # type: ignore[misc]
        pass

    class Bridged(Flow[CopilotKitState]):
        @start()
        def only(self) -> None:
            snapshot = {**self.state.model_dump(), "id": "x", "tools": [1], "context": [2], "mine": 3}
            crewai_event_bus.emit(self, State(type=EventType.STATE_SNAPSHOT, snapshot=snapshot))

    snapshots = [event.snapshot for event in of_kind(await run_flow(Bridged), events.StateSnapshot)]
    assert {"mine": 3} in snapshots
    assert not any({"id", "messages", "copilotkit", "tools", "context"} & set(snapshot) for snapshot in snapshots)


async def test_what_a_flow_sends_without_keeping_it_stays_in_the_thread() -> None:
    class Forgetful(Flow[CopilotKitState]):
        @start()
        async def only(self) -> None:
            await copilotkit_emit_message("by hand")
            await copilotkit_emit_tool_call(name="paint", args={"color": "red"}, tool_call_id="c")

    seen = await run_flow(Forgetful, asking("hi", tools=[PAINT]))
    thread = of_kind(seen, events.MessagesSnapshot)[-1].messages
    (start_of_text,) = of_kind(seen, events.TextMessageStart)
    assert [message["role"] for message in thread] == ["user", "assistant", "assistant"]
    assert (thread[1]["id"], thread[1]["content"]) == (start_of_text.message_id, "by hand")
    assert [call["id"] for call in thread[2]["toolCalls"]] == ["c"]


async def test_a_persisted_flow_remembers_by_thread(tmp_path: Path) -> None:
    store = SQLiteFlowPersistence(str(tmp_path / "flows.db"))

    @persist(store)
    class Remembering(Flow[Counting]):
        @start()
        def only(self) -> str:
            self.state.count += 1
            return str(self.state.count)

    provider = CrewAIProvider({"a": Remembering})
    answers = [said(await collect(provider, asking(thread_id=thread))) for thread in ("x", "y", "x")]
    assert answers == [["1"], ["1"], ["2"]]


async def test_a_waiting_flow_is_given_up_after_its_time() -> None:
    ended = threading.Event()

    class Waiting(Flow[Counting]):
        @start()
        def only(self) -> None:
            try:
                self.ask("Anybody?")
            finally:
                ended.set()

    provider = CrewAIProvider({"a": Waiting}, answer_timeout=0.05)
    await collect(provider, asking())
    assert await asyncio.to_thread(ended.wait, 5)


async def test_a_waiting_flow_goes_on_for_nobody_else() -> None:
    """Another process may have deleted the thread, which is somebody else's by then."""

    class Waiting(Flow[Counting]):
        @start()
        def only(self) -> str:
            return f"an answer for {self.ask('Who?')}"

    provider = CrewAIProvider({"a": Waiting})
    await collect(provider, asking(), identity="ann")
    asked = await collect(provider, resuming("bob"), identity="bob")
    assert (said(asked), len(of_kind(asked, events.Custom))) == ([], 1), "his own has begun"
    assert said(await collect(provider, resuming("bob"), identity="bob")) == ["an answer for bob"]


async def test_only_so_many_flows_wait() -> None:
    ended = threading.Semaphore(0)

    class Waiting(Flow[Counting]):
        @start()
        def only(self) -> None:
            try:
                self.ask("Anybody?")
            finally:
                ended.release()

    provider = CrewAIProvider({"a": Waiting}, max_waiting=1)
    await collect(provider, asking(thread_id="one"))
    await collect(provider, asking(thread_id="two"))
    assert await asyncio.to_thread(ended.acquire, timeout=5)
    assert not ended.acquire(blocking=False)
    await provider.stop()
    assert await asyncio.to_thread(ended.acquire, timeout=5)


async def test_a_flow_that_blocks_its_loop_does_not_block_ours() -> None:
    blocking, released = threading.Event(), threading.Event()
    released_in_time: list[bool] = []

    class Blocking(Flow[Counting]):
        @start()
        async def only(self) -> None:
            blocking.set()
            released_in_time.append(released.wait(timeout=20))

    running = asyncio.create_task(run_flow(Blocking))
    assert await asyncio.to_thread(blocking.wait, timeout=20)
    released.set()
    await running
    assert released_in_time == [True]


async def test_stopping_a_run_cancels_what_its_flow_awaits() -> None:
    cancelled = threading.Event()

    class Hanging(Flow[Counting]):
        @start()
        async def only(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    async with aclosing(CrewAIProvider({"a": Hanging}).execute_run("a", asking(), RunContext())) as run:
        await anext(run)
    assert await asyncio.to_thread(cancelled.wait, 5)


async def test_a_flood_waits_for_its_reader() -> None:
    emitted = 0

    class Flood(Flow[Counting]):
        @start()
        async def only(self) -> None:
            nonlocal emitted
            for _ in range(100_000):
                await copilotkit_emit_message("x")
                emitted += 1

    provider = CrewAIProvider({"a": Flood}, queue_size=30)
    async with aclosing(provider.execute_run("a", asking(), RunContext())) as run:
        for _ in range(10):
            await anext(run)
        before = -1
        while before != emitted:
            before = emitted
            await asyncio.sleep(0.1)
    assert emitted < 20


async def test_a_failing_method_fails_the_run_with_its_own_exception() -> None:
    class Failing(Flow[Counting]):
        @start()
        def only(self) -> None:
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await run_flow(Failing)


async def test_a_persisted_flow_that_died_begins_anew(tmp_path: Path) -> None:
    """Why runs of a process that died are closed here and not resumed: docs/decisions, 17."""
    ran: list[str] = []
    kept = SQLiteFlowPersistence(db_path=str(tmp_path / "flows.sqlite"))

    @persist(kept)
    class Dying(Flow[Counting]):
        @start()
        def first(self) -> None:
            ran.append("first")
            self.state.count += 1

        @listen(first)
        def second(self) -> None:
            ran.append("second")
            if len(ran) == 2:
                raise RuntimeError("the process died")

    with pytest.raises(RuntimeError, match="the process died"):
        await Dying(persistence=kept).kickoff_async(inputs={"id": "thread"})
    again = Dying(persistence=kept)
    await again.kickoff_async(inputs={"id": "thread"})
    assert ran == ["first", "second", "first", "second"]
    assert again.state.count == 2
    assert not CrewAIProvider({"dying": Dying}).can_resume("dying")
