"""What must hold for every provider, as checks that raise ``AssertionError``.

With pytest::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_provider_conforms(check):
        await check(MyGuest())
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from ..runtime import events
from ..runtime.config import RuntimeConfig
from ..runtime.context import RunContext, RunInput
from ..runtime.errors import CopilotKitError, RunTimeoutError
from ..runtime.messages import TextMessage
from ..runtime.request import RunRequest
from ..runtime.runs.handle import RunHandle
from ..runtime.runs.run import RunStatus
from ..server.runtime import CopilotRuntime
from .guest import AGENT, Behaviour, Guest

Check: TypeAlias = Callable[[Guest], Awaitable[None]]

LET_GO_SECONDS = 4.0
"""Less than the grace after which a run ends without a provider that ignores its cancellation."""
STOPPED_SECONDS = 20.0
LOOP_BLOCKED_SECONDS = 5.0
LOOP_TURNS = 10
_TEXT = "one two three, väter 🎈"


async def agents_are_listed(guest: Guest) -> None:
    """The agent is there before any run."""
    async with _runtime(guest, Behaviour.ECHO) as runtime:
        names = [agent.name for agent in await runtime.discover_agents()]
    _require(AGENT in names, f"{AGENT} is not among {names}")


async def text_arrives_whole_and_in_order(guest: Guest) -> None:
    """The pieces of a message make up its text, and there are several."""
    async with _runtime(guest, Behaviour.ECHO) as runtime:
        run, seen = await _run_to_end(runtime, _TEXT)
    _require(run.status is RunStatus.FINISHED, f"the run ended as {run.status}: {run.error}")
    pieces = [event.delta for event in seen if isinstance(event, events.TextMessageContent)]
    _require("".join(pieces) == _TEXT, f"sent {''.join(pieces)!r}")
    _require(len(pieces) > 1, "the text came in one piece")


async def streams_begin_and_end_once(guest: Guest) -> None:
    """A run's stream has one beginning, one end, and nothing open at the end."""
    async with _runtime(guest, Behaviour.ECHO) as runtime:
        _, seen = await _run_to_end(runtime, _TEXT)
    ends = [event for event in seen if isinstance(event, events.TERMINAL)]
    _require(isinstance(seen[0], events.RunStarted), "the first event is not RunStarted")
    _require(ends == [seen[-1]], f"the ends are {ends}")
    for start, end in _PAIRS:
        opened, closed = _ids(seen, start), _ids(seen, end)
        _require(sorted(opened) == sorted(closed), f"opened {opened}, closed {closed}")


async def state_arrives_and_is_kept(guest: Guest) -> None:
    """The agent's state can be loaded after the run, for its own thread only."""
    if not guest.keeps_state:
        return
    async with _runtime(guest, Behaviour.ECHO) as runtime:
        await _run_to_end(runtime, _TEXT)
        kept = await runtime.load_agent_state(thread_id="thread-0", agent_name=AGENT)
        other = await runtime.load_agent_state(thread_id="another", agent_name=AGENT)
    _require(kept is not None and kept.state.get("echo") == _TEXT, f"kept {kept}")
    _require(other is None or not other.state.get("echo"), f"another thread knows {other}")


async def concurrent_runs_are_not_mixed_up(guest: Guest) -> None:
    """Many runs at a time, each on its thread, send and keep only what is theirs."""
    texts = [f"text of thread {number}" for number in range(guest.concurrent_runs)]
    async with _runtime(guest, Behaviour.ECHO) as runtime:
        results = await asyncio.gather(
            *(_run_to_end(runtime, text, f"thread-{number}") for number, text in enumerate(texts))
        )
        for number, text in enumerate(texts) if guest.keeps_state else ():
            kept = await runtime.load_agent_state(thread_id=f"thread-{number}", agent_name=AGENT)
            _require(kept is not None and kept.state.get("echo") == text, f"thread {number} kept {kept}")
    for (run, seen), text in zip(results, texts, strict=True):
        _require(run.status is RunStatus.FINISHED, f"a run ended as {run.status}: {run.error}")
        _require(_said(seen) == text, f"{text!r} became {_said(seen)!r}")


async def a_stopped_run_lets_go(guest: Guest) -> None:
    """A run that is stopped while its agent hangs ends within a second, and its work soon after."""
    if Behaviour.HANG not in guest.behaviours:
        return
    async with _runtime(guest, Behaviour.HANG) as runtime:
        run = await _start(runtime, "hi")
        await _read_until_said(run)
        async with asyncio.timeout(LET_GO_SECONDS):
            await run.cancel()
        _require(run.status is RunStatus.CANCELLED, f"the run ended as {run.status}")
    await _all_stopped(guest)


async def a_hanging_run_ends_at_its_deadline(guest: Guest) -> None:
    """No run goes on for ever."""
    if Behaviour.HANG not in guest.behaviours:
        return
    async with _runtime(guest, Behaviour.HANG, run_timeout_seconds=1.0) as runtime:
        run, seen = await _run_to_end(runtime, "hi")
    _require(run.status is RunStatus.FAILED, f"the run ended as {run.status}")
    _require(isinstance(run.error, RunTimeoutError), f"the error is {run.error!r}")
    _require(isinstance(seen[-1], events.RunError), f"the last event is {seen[-1]}")


async def a_failing_run_says_so_and_hides_why(guest: Guest) -> None:
    """The text before the failure arrives, the run has failed, and the client is not sent the error's own text."""
    if Behaviour.RAISE not in guest.behaviours:
        return
    async with _runtime(guest, Behaviour.RAISE) as runtime:
        run, seen = await _run_to_end(runtime, "hi")
    _require(run.status is RunStatus.FAILED, f"the run ended as {run.status}")
    _require("begun" in _said(seen), f"sent {_said(seen)!r}")
    _require("secret-detail" not in str(seen[-1]), f"sent {seen[-1]}")


async def garbage_is_a_typed_error(guest: Guest) -> None:
    """What cannot be understood fails the run with an error of the hierarchy."""
    if Behaviour.GARBAGE not in guest.behaviours:
        return
    async with _runtime(guest, Behaviour.GARBAGE) as runtime:
        run, _ = await _run_to_end(runtime, "hi")
    _require(run.status is RunStatus.FAILED, f"the run ended as {run.status}")
    _require(isinstance(run.error, CopilotKitError), f"the error is {run.error!r}")


async def a_flood_arrives_whole_and_leaves_the_loop_free(guest: Guest) -> None:
    """Very many pieces arrive, and others on the same event loop are served meanwhile."""
    if Behaviour.FLOOD not in guest.behaviours:
        return
    async with _runtime(guest, Behaviour.FLOOD) as runtime, asyncio.TaskGroup() as group:
        watch = _LoopWatch()
        watching = group.create_task(watch.watch())
        run, length = await _count_to_end(runtime)
        watching.cancel()
    _require(run.status is RunStatus.FINISHED, f"the run ended as {run.status}: {run.error}")
    _require(length == guest.flood_tokens, f"{length} of {guest.flood_tokens} arrived")
    _require(watch.longest < LOOP_BLOCKED_SECONDS, f"the event loop was blocked for {watch.longest:.2f} s")
    _require(watch.turns >= LOOP_TURNS, f"the event loop took only {watch.turns} turns for others")


async def a_flood_can_be_left(guest: Guest) -> None:
    """A flooding run can be stopped at any time."""
    if Behaviour.FLOOD not in guest.behaviours:
        return
    async with _runtime(guest, Behaviour.FLOOD) as runtime:
        run = await _start(runtime, "hi")
        await _read_until_said(run)
        async with asyncio.timeout(LET_GO_SECONDS):
            await run.cancel()
    await _all_stopped(guest)


async def a_guest_is_well_after_a_bad_run(guest: Guest) -> None:
    """A failed run and a stopped one leave nothing behind that harms the next."""
    for behaviour in (Behaviour.RAISE, Behaviour.HANG, Behaviour.GARBAGE):
        if behaviour in guest.behaviours:
            async with _runtime(guest, behaviour, run_timeout_seconds=1.0) as runtime:
                await _run_to_end(runtime, "hi")
    await text_arrives_whole_and_in_order(guest)


CHECKS: tuple[Check, ...] = (
    agents_are_listed,
    text_arrives_whole_and_in_order,
    streams_begin_and_end_once,
    state_arrives_and_is_kept,
    concurrent_runs_are_not_mixed_up,
    a_stopped_run_lets_go,
    a_hanging_run_ends_at_its_deadline,
    a_failing_run_says_so_and_hides_why,
    garbage_is_a_typed_error,
    a_flood_arrives_whole_and_leaves_the_loop_free,
    a_flood_can_be_left,
    a_guest_is_well_after_a_bad_run,
)

_PAIRS: tuple[tuple[type[Any], type[Any]], ...] = (
    (events.TextMessageStart, events.TextMessageEnd),
    (events.ToolCallStart, events.ToolCallEnd),
    (events.StepStarted, events.StepFinished),
)


class _LoopWatch:
    def __init__(self) -> None:
        self.longest = 0.0
        self.turns = 0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, loop.time() - before)
            self.turns += 1


@asynccontextmanager
async def _runtime(guest: Guest, behaviour: Behaviour, **settings: Any) -> AsyncIterator[CopilotRuntime]:
    config = RuntimeConfig(**settings)
    async with (
        guest.serve(behaviour) as provider,
        CopilotRuntime(providers=[provider], store="memory://", config=config) as runtime,
    ):
        yield runtime


def _input(text: str, thread_id: str = "thread-0") -> RunInput:
    message = TextMessage(role="user", content=text)
    return RunInput(thread_id=thread_id, run_id=f"run-{thread_id}", messages=[message])


async def _start(runtime: CopilotRuntime, text: str, thread_id: str = "thread-0") -> RunHandle:
    request = RunRequest(agent_name=AGENT, input=_input(text, thread_id), context=RunContext())
    return await runtime.service.start(request)


async def _run_to_end(
    runtime: CopilotRuntime, text: str, thread_id: str = "thread-0"
) -> tuple[RunHandle, list[events.Event]]:
    run = await _start(runtime, text, thread_id)
    seen: list[events.Event] = []
    while batch := await run.read():
        seen += batch
    await run.join()
    return run, seen


async def _count_to_end(runtime: CopilotRuntime) -> tuple[RunHandle, int]:
    run = await _start(runtime, "hi")
    length = 0
    while batch := await run.read():
        length += sum(len(event.delta) for event in batch if isinstance(event, events.TextMessageContent))
    await run.join()
    return run, length


async def _read_until_said(run: RunHandle) -> None:
    while batch := await run.read():
        if any(isinstance(event, events.TextMessageContent) for event in batch):
            return
    raise AssertionError(f"nothing was sent: the run ended as {run.status}: {run.error}")


async def _all_stopped(guest: Guest) -> None:
    async with asyncio.timeout(STOPPED_SECONDS):
        while guest.working:  # noqa: ASYNC110 - frameworks have no event for it
            await asyncio.sleep(0.01)


def _said(seen: list[events.Event]) -> str:
    return "".join(event.delta for event in seen if isinstance(event, events.TextMessageContent))


def _ids(seen: list[events.Event], kind: type[Any]) -> list[str]:
    fields = ("message_id", "tool_call_id", "step_name")
    return [
        getattr(event, field) for event in seen for field in fields if type(event) is kind and hasattr(event, field)
    ]


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise AssertionError(complaint)
