"""Whatever comes between two steps of an operation on a thread, nobody gets what is another's, and nothing hangs.

An operation is stopped before and behind each of its calls of a store or a provider in turn. Others then do what they
do, wholly, and it goes on. Time is a clock's that goes on only while nobody has anything to do, and no machine's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    ApiKeyAuth,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from copilotkit_runtime.runtime.errors import CopilotKitError
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.runs.fence import check_fence
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.locks import RunLock, RunLocks
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.support import virtual_time
from tests.support.agui_client import run_input, user
from tests.support.interleaving import Steps, make_steps, step
from tests.support.request_bodies import generate, text_message

PATH = "/api/copilotkit"
ANN, BOB = "ann", "bob"
OTHER = {ANN: BOB, BOB: ANN}
MEMORY = "memory://"
TTL = 5.0
PATIENCE = 2.0
"""For how long others wait for the operation that stands still before it goes on, by the virtual clock."""
LIMIT = 120.0
LOAD = "query($d: LoadAgentStateInput!){loadAgentState(data:$d){threadId threadExists state messages}}"
STATES = (
    *("load", "load_many", "save", "thread", "threads", "open_thread", "expired_threads", "rename_thread"),
    *("archive_thread", "delete_thread", "disown_thread", "claim", "owner_of"),
)
RUNS = (
    *("open", "append_group", "compact", "close", "renew", "runs", "latest", "peek", "read", "history"),
    *("delete", "discard"),
)
AGENTS = ("keeps_thread", "load_state", "save_state", "delete_thread", "delete_owner", "compact_thread")


class Agent(AgentProvider):
    """Sends all that it remembers of a thread, and the last message."""

    def __init__(self) -> None:
        self.remembers: dict[str, list[str]] = {}

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name=self.name)]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        said = [message.content for message in run.messages if isinstance(message, TextMessage)][-1:]
        await step("before remembering")
        told = [*await self.known(run.thread_id), *said]
        yield events.TextMessageStart(message_id=f"of-{run.run_id}")
        yield events.TextMessageContent(message_id=f"of-{run.run_id}", delta=" | ".join(told))
        await step("before noting")
        self.note(run.thread_id, said)

    async def known(self, thread_id: str) -> list[str]:
        """What is remembered of a thread."""
        return self.remembers.get(thread_id, [])

    def note(self, thread_id: str, said: Sequence[str]) -> None:
        """Remember what was said."""
        check_fence()
        self.remembers.setdefault(thread_id, []).extend(said)


class Plain(Agent):
    """Remembers nothing: the runtime's store does."""

    name = "plain"

    async def known(self, thread_id: str) -> list[str]:
        kept = await self.load_state(thread_id, self.name)
        return [str(getattr(message, "content", "")) for message in (kept.messages if kept else ())]

    def note(self, thread_id: str, said: Sequence[str]) -> None:
        return


class Own(Agent):
    """Keeps its threads itself, as LangGraph does."""

    name = "own"
    keeps_state = True

    async def keeps_thread(self, thread_id: str) -> bool:
        return thread_id in self.remembers

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        said = self.remembers.get(thread_id)
        texts = [TextMessage(id=f"m-{place}", role="user", content=each) for place, each in enumerate(said or ())]
        return None if said is None else AgentState(messages=texts)

    async def save_state(self, thread_id: str, agent_name: str, state: AgentState) -> None:
        self.remembers.setdefault(thread_id, []).append(json.dumps(state.state))

    async def delete_thread(self, thread_id: str) -> None:
        self.remembers.pop(thread_id, None)


class Elsewhere(Agent):
    """Remembers its threads where nobody can look, and cannot be made to forget."""

    name = "elsewhere"
    keeps_threads_elsewhere = True
    deletes_threads = False


@dataclass
class Served:
    """A runtime that answers two people, and an application that does what it may."""

    clock: virtual_time.Clock
    agents: Sequence[Agent]
    runtime: CopilotRuntime
    client: httpx.AsyncClient


@dataclass
class Case:
    """One thread, what was asked about it, and what came back."""

    served: Served
    others: Served
    """What the others ask, which may be another process."""
    thread: str
    answers: list[tuple[str, str, int, str]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    async def ask(self, person: str, what: str, method: str, path: str, **request: Any) -> None:
        """Send a request as a person; note what came back."""
        headers = {"x-api-key": f"key-of-{person}", **request.pop("headers", {})}
        response = await self.served.client.request(method, f"{PATH}{path}", headers=headers, **request)
        self.answers.append((person, what, response.status_code, response.text))

    async def do(self, done: Sequence[Done]) -> None:
        """Have people do one thing after the other."""
        for operation, person, agent in done:
            try:
                await operation(self, person, agent)
            except CopilotKitError as error:
                self.answers.append((person, operation.__name__, 0, str(error)))


Done = tuple["Operation", str, str]
Operation = Callable[[Case, str, str], Awaitable[object]]
"""Something that somebody does on the thread with an agent."""


async def runs(case: Case, person: str, agent: str) -> None:
    number = next(case.numbers)
    asked = run_input(user(f"secret-of-{person}", f"u{number}"), thread=case.thread, run=f"r{number}")
    await case.ask(person, "run", "POST", f"/agent/{agent}/run", json=asked)


async def runs_over_graphql(case: Case, person: str, agent: str) -> None:
    message = text_message(f"secret-of-{person}", id_=f"u{next(case.numbers)}")
    body = generate(message, agent=agent, threadId=case.thread)
    await case.ask(person, "graphql", "POST", "", json=body, headers={"accept": "multipart/mixed"})


async def connects(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "connect", "POST", f"/agent/{agent}/connect", json=run_input(thread=case.thread, run="c"))


async def loads(case: Case, person: str, agent: str) -> None:
    body = {"query": LOAD, "variables": {"d": {"threadId": case.thread, "agentName": agent}}}
    await case.ask(person, "load", "POST", "", json=body)


async def writes(case: Case, person: str, agent: str) -> None:
    body = {"threadId": case.thread, "state": {"note": f"secret-of-{person}"}}
    await case.ask(person, "write", "PUT", f"/agents/{agent}/state", json=body)


async def reads_messages(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "messages", "GET", f"/threads/{case.thread}/messages")


async def reads_events(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "events", "GET", f"/threads/{case.thread}/events")


async def reads_state(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "state", "GET", f"/threads/{case.thread}/state")


async def renames(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "rename", "PATCH", f"/threads/{case.thread}", json={"name": f"secret-of-{person}"})


async def archives(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "archive", "POST", f"/threads/{case.thread}/archive", json={})


async def lists(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "list", "GET", "/threads", params={"includeArchived": "true"})


async def stops(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "stop", "POST", f"/agent/{agent}/stop/{case.thread}", json={})


async def deletes(case: Case, person: str, agent: str) -> None:
    await case.ask(person, "delete", "DELETE", f"/threads/{case.thread}")


async def is_forgotten(case: Case, person: str, agent: str) -> None:
    await case.served.runtime.delete_threads(owner=person)


async def compacts(case: Case, person: str, agent: str) -> None:
    await case.served.runtime.compact_store()


async def sweeps(case: Case, person: str, agent: str) -> None:
    await case.served.runtime.service.threads.sweep()


async def expires(case: Case, person: str, agent: str) -> None:
    case.served.clock.now += 2 * TTL


@asynccontextmanager
async def served(clock: virtual_time.Clock, store: str, *agents: Agent) -> AsyncIterator[Served]:
    """Serve agents; what the store, the runs' log and the agents do are steps."""
    runtime = CopilotRuntime(
        providers=agents,
        store=open_store(store, StoreSettings(ttl=TTL if store == MEMORY else None)),
        auth=ApiKeyAuth({ANN: "key-of-ann", BOB: "key-of-bob"}),
        config=RuntimeConfig(extensions=True, installed_providers=False, list_threads=True),
    )
    make_steps(runtime.store, STATES)
    make_steps(runtime.service.archive.store, RUNS)
    for agent in agents:
        make_steps(agent, AGENTS)
    transport = httpx.ASGITransport(app=runtime.create_app())
    async with runtime, httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Served(clock, agents, runtime, client)


async def play(case: Case, begin: Sequence[Done], one: Done, others: Sequence[Done], stop_at: int) -> bool:
    """Do ``one`` up to a step, then ``others``, then the rest; then let both people look for what is the other's.

    Returns:
        Whether there was such a step.
    """
    steps = Steps(stop_at)
    await case.do(begin)
    with steps.acting():
        first = asyncio.create_task(case.do([one]))
    reached = asyncio.create_task(steps.reached.wait())
    await asyncio.wait([first, reached], return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    elsewhere = replace(case, served=case.others)
    coming = asyncio.create_task(elsewhere.do(others))
    await asyncio.wait([coming], timeout=PATIENCE)
    steps.let_go()
    try:
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(first, coming)
            await elsewhere.do([(look, person, one[2]) for person in (BOB, ANN) for look in LOOKS])
    except TimeoutError:
        case.answers.append((one[1], "waiting", 500, "it hangs"))
    return steps.reached.is_set()


async def problems(case: Case) -> list[str]:
    """Return which promises were broken."""
    found = []
    for person, what, status, answer in case.answers:
        if f"secret-of-{OTHER[person]}" in answer:
            found.append(f"{person} got by {what}: {answer}")
        if status == 500:
            found.append(f"{what} failed: {answer}")
        ends = answer.count('"RUN_FINISHED"') + answer.count('"RUN_ERROR"')
        if what == "run" and status == 200 and ends != 1:
            found.append(f"a run ended {ends} times: {answer}")
    return found + [f"of {person}: {kept}" for person, kept in await _astray(case)]


async def _astray(case: Case) -> list[tuple[str, str]]:
    """Return what is kept of people under a thread that is not theirs."""
    store, archive = case.served.runtime.store, case.served.runtime.service.archive
    record = await store.thread(case.thread)
    if record is not None and record.owner is None:
        return []  # nobody gets it
    kept = [await store.load(case.thread, agent.name) for agent in case.served.agents]
    logs = [await archive.history(each) for each in await archive.runs(case.thread)]
    memories = [agent.remembers.get(case.thread) for agent in case.served.agents if agent.deletes_threads]
    text = repr((record and record.name, kept, logs, memories))
    others = [person for person in (ANN, BOB) if record is None or person != record.owner]
    return [(person, text) for person in others if f"secret-of-{person}" in text]


async def _bad(here: Served, there: Served, begun: str, one: Done, others: Sequence[Done]) -> list[str]:
    """Play one operation with others between all its steps; return what was broken where."""
    found: list[str] = []
    for stop_at in count():
        case = Case(here, there, f"thread-{uuid4()}")
        before = [(runs, ANN, begun), *([(expires, ANN, begun)] if one[0] is sweeps else [])]
        was_stopped = await play(case, before, one, others, stop_at)
        found += [f"step {stop_at}: {problem}" for problem in await problems(case)]
        await here.runtime.store.delete_thread(case.thread)
        if not was_stopped:
            return found
    return found


@pytest.fixture(autouse=True)
def locks_are_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    acquire, release = RunLocks.acquire, RunLocks.release

    async def acquire_later(locks: RunLocks, lock: RunLock) -> None:
        await step("before acquire")
        await acquire(locks, lock)

    async def go_on_later(locks: RunLocks, lock: RunLock) -> None:
        await release(locks, lock)
        await step("behind release")

    # Nothing comes between having a lock and knowing it: whoever is stopped there would keep it for ever.
    monkeypatch.setattr(RunLocks, "acquire", acquire_later)
    monkeypatch.setattr(RunLocks, "release", go_on_later)


def _between(agent: str) -> dict[str, Sequence[Done]]:
    """What comes between the steps of an operation."""
    bob_comes = [(runs, BOB, agent), (connects, BOB, agent)]
    return {
        "bob comes": bob_comes,
        "she deletes it": [(deletes, ANN, agent), *bob_comes],
        "she is forgotten": [(is_forgotten, ANN, agent), *bob_comes],
        "it expires": [(expires, ANN, agent), *bob_comes],
        "it is swept": [(expires, ANN, agent), (sweeps, ANN, agent), *bob_comes],
    }


LOOKS = (connects, reads_messages, runs)
READS = (loads, connects, reads_messages, reads_events, reads_state, lists)
CHANGES = (writes, renames, archives, stops, compacts)
REMOVALS = (deletes, is_forgotten, sweeps)
PLANS = [
    *((runs, begun, agent, ("she deletes it", "it expires")) for begun, agent in (("plain", "plain"), ("own", "own"))),
    (runs, "own", "own", ("she is forgotten", "it is swept")),
    (runs, "plain", "own", ("she deletes it",)),
    (runs, "elsewhere", "elsewhere", ("she deletes it",)),
    *((runs_over_graphql, agent, agent, ("she deletes it", "it expires")) for agent in ("plain", "own")),
    *((each, agent, agent, ("she deletes it", "it expires")) for each in READS for agent in ("plain", "own")),
    *((each, agent, agent, ("she deletes it",)) for each in CHANGES for agent in ("plain", "own")),
    *((each, agent, agent, ("bob comes",)) for each in REMOVALS for agent in ("plain", "own", "elsewhere")),
]


def _name(value: Any) -> str | None:
    return value.__name__ if callable(value) else None


@pytest.mark.parametrize(("operation", "begun", "agent", "others"), PLANS, ids=_name)
def test_nobody_gets_what_is_another_s(operation: Operation, begun: str, agent: str, others: Sequence[str]) -> None:
    agents = [Plain(), Own(), *([Elsewhere()] if agent == "elsewhere" else [])]

    async def main() -> list[str]:
        async with served(clock, MEMORY, *agents) as here:
            between = _between(agent)
            bad = [await _bad(here, here, begun, (operation, ANN, agent), between[each]) for each in others]
            return [each for found in bad for each in found]

    with virtual_time.clock() as clock, clock.runner() as runner:
        assert runner.run(main()) == []


@pytest.mark.parametrize(("operation", "agent"), [(runs, "plain"), (runs, "own"), (writes, "plain")], ids=_name)
def test_nobody_is_let_in_while_a_thread_changes_hands(operation: Operation, agent: str) -> None:
    async def main() -> list[str]:
        async with served(clock, MEMORY, Plain(), Own()) as here:
            return await _bad(here, here, agent, (operation, BOB, agent), [(deletes, ANN, agent), (runs, ANN, agent)])

    with virtual_time.clock() as clock, clock.runner() as runner:
        assert runner.run(main()) == []


@pytest.mark.parametrize(
    ("operation", "agent", "others"),
    [(runs, "plain", "she deletes it"), (runs, "own", "she deletes it"), (deletes, "own", "bob comes")],
    ids=_name,
)
def test_two_processes_are_as_one(tmp_path: Path, operation: Operation, agent: str, others: str) -> None:
    own, store = Own(), f"sqlite:///{tmp_path}/store.sqlite"
    same = Own()
    same.remembers = own.remembers

    async def main() -> list[str]:
        async with served(clock, store, Plain(), own) as here, served(clock, store, Plain(), same) as there:
            return await _bad(here, there, agent, (operation, ANN, agent), _between(agent)[others])

    with virtual_time.clock() as clock, clock.runner() as runner:
        assert runner.run(main()) == []
