from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any, ClassVar

import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.crewai import CopilotKitState, CrewAIProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import RunContext
from copilotkit_runtime.runtime.errors import ConfigurationError, MisuseError

from .guests import PAINT, asking, collect, crew_of, of_kind, resuming, said, with_result
from .openai_service import OpenAIService, Reply, says


def in_turn(*replies: Reply) -> Any:
    remaining = iter(replies)
    return lambda _asked: next(remaining)


def adding() -> list[Any]:
    from crewai.tools import tool

    @tool("add")
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @tool("fail")
    def fail(a: int) -> int:
        """Fails."""
        raise ValueError(f"cannot {a}")

    return [add, fail]


async def test_a_crews_tokens_arrive_as_text_inside_its_task_and_agent() -> None:
    async with OpenAIService(lambda _: says("tea is a drink")) as model:
        seen = await collect(CrewAIProvider({"a": crew_of(model.base_url)}), asking())
    assert [type(event) for event in seen] == [
        events.StepStarted,
        events.StepStarted,
        events.TextMessageStart,
        *[events.TextMessageContent] * 4,
        events.TextMessageEnd,
        events.StepFinished,
        events.StepFinished,
    ]
    assert [event.step_name for event in of_kind(seen, events.StepStarted)] == ["write", "Writer"]
    assert said(seen) == ["tea is a drink"]


async def test_the_user_s_message_fills_the_placeholders_that_the_state_does_not() -> None:
    async with OpenAIService(lambda _: says("ok")) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url)})
        await collect(provider, asking("green tea"))
        await collect(provider, asking("green tea", state={"topic": "coffee"}))
    prompts = [asked["messages"][-1]["content"] for asked in model.asked]
    assert "Write about green tea" in prompts[0]
    assert "Write about coffee" in prompts[1]


async def test_an_answer_that_was_not_streamed_is_sent_at_the_end() -> None:
    async with OpenAIService(lambda _: says("tea is a drink")) as model:
        seen = await collect(CrewAIProvider({"a": crew_of(model.base_url)}, stream=False), asking())
    assert said(seen) == ["tea is a drink"]


async def test_tool_calls_and_their_results_arrive_under_the_models_ids() -> None:
    calls = (("c1", "add", '{"a":1,"b":2}'), ("c2", "add", '{"a":3,"b":4}'))
    async with OpenAIService(in_turn(Reply(tokens=("hm",), calls=calls), says("done"))) as model:
        seen = await collect(CrewAIProvider({"a": crew_of(model.base_url, tools=adding)}), asking())
    arguments: dict[str, str] = {}
    for event in of_kind(seen, events.ToolCallArgs):
        arguments[event.tool_call_id] = arguments.get(event.tool_call_id, "") + event.delta
    assert arguments == {"c1": '{"a":1,"b":2}', "c2": '{"a":3,"b":4}'}
    results = {event.tool_call_id: event.content for event in of_kind(seen, events.ToolCallResult)}
    assert results == {"c1": "3", "c2": "7"}


async def test_a_call_of_a_model_that_does_not_stream_is_shown_too() -> None:
    call = Reply(calls=(("c1", "add", '{"a":1,"b":2}'),))
    async with OpenAIService(in_turn(call, says("done"))) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url, tools=adding)}, stream=False)
        seen = await collect(provider, asking())
    (started,) = of_kind(seen, events.ToolCallStart)
    (result,) = of_kind(seen, events.ToolCallResult)
    assert (started.tool_call_name, result.tool_call_id) == ("add", started.tool_call_id)


async def test_a_tools_failure_is_its_result() -> None:
    async with OpenAIService(in_turn(Reply(calls=(("c1", "fail", '{"a":1}'),)), says("done"))) as model:
        seen = await collect(CrewAIProvider({"a": crew_of(model.base_url, tools=adding)}), asking())
    (result,) = of_kind(seen, events.ToolCallResult)
    assert "cannot 1" in result.content


async def test_a_client_tool_ends_the_run_and_its_result_goes_on_with_it() -> None:
    calls = (("c1", "paint", '{"color":"red"}'),)
    async with OpenAIService(in_turn(Reply(calls=calls), says("it is red now"))) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url)})
        first = await collect(provider, asking(tools=[PAINT]))
        second = await collect(provider, with_result("c1", "painted"))
    assert [event.tool_call_id for event in of_kind(first, events.ToolCallEnd)] == ["c1"]
    assert said(first) == []
    assert said(second) == ["it is red now"]
    assert not of_kind(first + second, events.ToolCallResult)
    assert model.asked[1]["messages"][-1]["content"] == "painted"


async def test_a_task_with_human_input_interrupts_until_the_person_is_content() -> None:
    async with OpenAIService(in_turn(says("draft"), says("better"))) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url, human_input=True)})
        first = await collect(provider, asking())
        (asked,) = of_kind(first, events.Custom)
        second = await collect(provider, resuming("shorter", asked.value["id"]))
        (asked_again,) = of_kind(second, events.Custom)
        third = await collect(provider, resuming(""))
    assert asked.name == events.INTERRUPT
    assert (asked.value["kind"], asked.value["output"]) == ("task", "draft")
    assert asked_again.value["output"] == "better"
    assert (said(first), said(second)) == (["draft"], ["better"])
    assert not of_kind(third, events.Custom)


async def test_a_new_question_instead_of_an_answer_begins_a_new_run() -> None:
    async with OpenAIService(lambda _: says("draft")) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url, human_input=True)})
        await collect(provider, asking())
        again = await collect(provider, asking("coffee"))
    assert said(again) == ["draft"]
    assert "coffee" in model.asked[1]["messages"][-1]["content"]
    await provider.stop()


async def test_concurrent_crews_are_not_mixed_up() -> None:
    def model(asked: dict[str, Any]) -> Reply:
        topic = asked["messages"][-1]["content"].split("about ")[1].split()[0]
        return Reply(tokens=(f"{topic} ",) * 50)

    async with OpenAIService(model) as service:
        provider = CrewAIProvider({"a": crew_of(service.base_url)})
        runs = [collect(provider, asking(f"topic{n}", thread_id=f"t{n}")) for n in range(10)]
        results = await asyncio.gather(*runs)
    for number, seen in enumerate(results):
        assert said(seen) == [f"topic{number} " * 50]


async def test_one_crew_object_does_one_run_at_a_time() -> None:
    async with OpenAIService(lambda asked: says(asked["messages"][-1]["content"].split("about ")[1])) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url)()})
        topics = ["red", "green", "blue"]
        results = await asyncio.gather(*(collect(provider, asking(topic, thread_id=topic)) for topic in topics))
    for topic, seen in zip(topics, results, strict=True):
        assert said(seen)[0].startswith(topic)


async def leave_at_the_first_word(provider: CrewAIProvider) -> None:
    async with aclosing(provider.execute_run("a", asking(), RunContext())) as run:
        async for event in run:
            if isinstance(event, events.TextMessageContent):
                return


async def test_a_stopped_crew_stops_at_its_next_token() -> None:
    async with OpenAIService(lambda _: Reply(tokens=("word ",) * 100_000)) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url)}, queue_size=16)
        await leave_at_the_first_word(provider)
        await no_crew_threads()


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
async def test_a_stopped_crew_hangs_up_on_its_model_without_waiting_for_a_collection_of_garbage() -> None:
    async with OpenAIService(lambda _: Reply(tokens=("word ",) * 100_000)) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url)}, queue_size=16)
        await leave_at_the_first_word(provider)
        async with asyncio.timeout(10):
            while model.service.running:  # noqa: ASYNC110 - it may break off in more than one way
                await asyncio.sleep(0.01)


@pytest.mark.usefixtures("no_garbage_collection")
async def test_a_stopped_flow_hangs_up_on_a_model_that_it_awaits() -> None:
    from crewai import LLM
    from crewai.flow import Flow, start

    async with OpenAIService(lambda _: Reply(tokens=("word ",) * 100_000)) as model:

        class Writing(Flow[CopilotKitState]):
            @start()
            async def write(self) -> None:
                llm = LLM(model="openai/gpt-4o", base_url=model.base_url, api_key="none", max_retries=0, stream=True)
                await llm.acall("Write.")

        await leave_at_the_first_word(CrewAIProvider({"a": Writing}, queue_size=16))
        async with asyncio.timeout(10):
            while model.service.running:  # noqa: ASYNC110 - it may break off in more than one way
                await asyncio.sleep(0.01)


async def test_a_crew_whose_model_hangs_is_let_go_at_once() -> None:
    async with OpenAIService(lambda _: Reply(tokens=("word ",), hang=True)) as model:
        provider = CrewAIProvider({"a": crew_of(model.base_url)})
        stream = provider.execute_run("a", asking(), RunContext())
        async for event in stream:
            if isinstance(event, events.TextMessageContent):
                break
        async with asyncio.timeout(10):
            await stream.aclose()  # type: ignore[attr-defined]
    await no_crew_threads()


async def no_crew_threads() -> None:
    while any(thread.name == "crewai-run" for thread in threading.enumerate()):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)


async def test_a_refusing_model_fails_the_run() -> None:
    async with OpenAIService(lambda _: Reply(status=500)) as model:
        with pytest.raises(Exception, match="500"):
            await collect(CrewAIProvider({"a": crew_of(model.base_url)}), asking())


async def test_a_factory_that_fails_fails_the_run() -> None:
    def broken() -> Any:
        raise ValueError("no crew today")

    with pytest.raises(ValueError, match="no crew today"):
        await collect(CrewAIProvider({"a": broken}), asking())


async def test_what_is_not_a_crew_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="nothing that makes one"):
        CrewAIProvider({"a": 5})
    with pytest.raises(MisuseError, match="Expected a crew or a flow, not an int"):
        await collect(CrewAIProvider({"a": lambda: 5}), asking())


async def test_a_crew_of_a_decorated_class_is_found() -> None:
    async with OpenAIService(lambda _: says("ok")) as model:
        make = crew_of(model.base_url)

        class Writers:
            def crew(self) -> Any:
                return make()

        assert said(await collect(CrewAIProvider({"a": Writers}), asking())) == ["ok"]


@pytest.mark.parametrize("given", [lambda made: made, lambda made: made()], ids=["its class", "an object"])
async def test_a_crew_that_crewai_s_own_template_writes_is_an_agent(given: Callable[[Any], Any]) -> None:
    async with OpenAIService(lambda _: says("ok")) as model:
        make = crew_of(model.base_url)

        from crewai.project import CrewBase

        @CrewBase
        class Writers:
            agents_config: ClassVar[dict[str, Any]] = {}
            tasks_config: ClassVar[dict[str, Any]] = {}

            def crew(self) -> Any:
                return make()

        (provider,) = CopilotRuntime(agents={"a": given(Writers)}).list_providers()
        assert said(await collect(provider, asking())) == ["ok"]


def test_what_crewai_has_besides_crews_and_flows_is_reported() -> None:
    from crewai import Agent, Crew, Task

    single = Agent(role="Writer", goal="Write", backstory="Short.", llm="openai/gpt-4o-mini")
    with pytest.raises(MisuseError, match=r"'a' is an Agent, not a crew or flow, .* Pass Crew\("):
        CopilotRuntime(agents={"a": single})
    with pytest.raises(MisuseError, match="'a' is a Task, not a crew or flow"):
        CopilotRuntime(agents={"a": Task(description="d", expected_output="e", agent=single)})
    with pytest.raises(ConfigurationError, match="'a' is the class Crew, not"):
        CopilotRuntime(agents={"a": Crew})
    with pytest.raises(MisuseError, match="'a' is CrewAI's own class Crew, which has nothing to do"):
        CrewAIProvider({"a": Crew})


async def test_memory_is_the_threads_own() -> None:
    roots: list[str] = []

    class Memory:
        root_scope = "/crew/test"

        def scope(self, path: str) -> None:
            roots.append(path)

    async with OpenAIService(lambda _: says("ok")) as model:
        make = crew_of(model.base_url)

        def remembering() -> Any:
            crew = make()
            crew._memory = Memory()
            return crew

        provider = CrewAIProvider({"a": remembering})
        for thread in ("one", "two", "one"):
            await collect(provider, asking(thread_id=thread))
    assert roots[0] == roots[2] != roots[1]
    assert all(root.startswith("/crew/test/thread/") for root in roots)


async def test_importing_crewai_leaves_the_process_as_it_was() -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    await CrewAIProvider({}).start()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert os.environ["CREWAI_DISABLE_TELEMETRY"] == "true"


async def test_a_task_without_a_name_does_not_show_its_prompt() -> None:
    def two() -> Any:
        from crewai import Task

        crew = crew_of(model.base_url, name=None, description="Secret prompt about {topic}")()
        crew.tasks.append(Task(description="More secrets", expected_output="A text", agent=crew.agents[0]))
        return crew

    async with OpenAIService(lambda _: says("ok")) as model:
        seen = await collect(CrewAIProvider({"a": two}), asking())
    steps = [event.step_name for event in of_kind(seen, events.StepStarted)]
    assert steps == ["task 1", "Writer", "task 2", "Writer"]
