"""What every execution promises, by HTTP: a web process without agents, and a worker, on real servers.

Both runtimes are in the process of the test, with nothing in common but the store.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import httpx
import msgspec
import pytest

from copilotkit_runtime import CopilotRuntime, Hooks
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.errors import CopilotKitError
from copilotkit_runtime.runtime.events import Event
from copilotkit_runtime.runtime.execution import directory, queued, saq_engine, unbegun_runs
from copilotkit_runtime.runtime.execution.envelope import VERSION, seal
from copilotkit_runtime.runtime.execution.saq_engine import SaqEngine
from copilotkit_runtime.runtime.execution.waiting_room import WaitingRoom
from copilotkit_runtime.runtime.guardrails import Guardrail, InputCheck, Verdict
from copilotkit_runtime.runtime.hooks import BeforeRequest
from copilotkit_runtime.runtime.runs import recorder
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_records import RunKey
from copilotkit_runtime.wires.http.auth import Identity
from tests.integration.execution.deployments import AGUI, KINDS, PATIENCE, Deployment
from tests.support.agui_client import connect, events_of, run, run_input, types_of, user
from tests.support.echo_agent import EchoProvider, RememberingProvider
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

pytestmark = [pytest.mark.parametrize("url", KINDS, indirect=True), pytest.mark.usefixtures("brief_takes")]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs were ahead of each one that was put into a queue, or into the room before it."""
    found: list[int] = []
    put = WaitingRoom.put

    async def noted(room: WaitingRoom, queue: str, key: RunKey, ahead: int) -> None:
        await put(room, queue, key, ahead)
        found.append(ahead)

    monkeypatch.setattr(WaitingRoom, "put", noted)
    return found


def said(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")


def whole_input(thread: str) -> dict[str, Any]:
    return run_input(
        user("hello"),
        thread=thread,
        run="r",
        tools=[{"name": "paint", "description": "Paints.", "parameters": {"type": "object", "properties": {}}}],
        context=[{"description": "place", "value": "kitchen"}],
        state={"step": [1, {"two": None}]},
        forwardedProps={"colour": "red", "deep": {"list": [1, 2.5, "x"]}},
    )


async def test_all_that_a_run_is_given_reaches_its_agent(deployment: Deployment, thread: str) -> None:
    async def authenticate(request: Any) -> Identity:
        return Identity(id=request.headers["x-who"], claims={"role": "cook"})

    headers = {"x-who": "ann", "x-trace": "1", "cookie": "secret=1", "authorization": "Bearer secret"}
    answers = []
    for queue in (False, True):
        if queue:
            await deployment.worker(EchoProvider(), auth=authenticate)
            client = await deployment.web(auth=authenticate)
        else:
            client = await deployment.inline(EchoProvider(), auth=authenticate)
        response = await client.post(f"{AGUI}/echo/run", json=whole_input(thread), headers=headers)
        answers.append(events_of(response.text))
    inline, queued = answers
    assert json.loads(said(queued)) == json.loads(said(inline))
    assert "secret" not in said(queued)
    assert json.loads(said(queued))["identity"] == "ann"
    assert types_of(queued) == types_of(inline)


async def test_a_run_that_is_delivered_twice_is_executed_once(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = EchoProvider()
    _, client = await deployment.both(provider)
    put = SaqEngine.put

    async def put_twice(engine: SaqEngine, queue: str, key: RunKey) -> None:
        await put(engine, queue, key)
        await put(engine, queue, key)

    monkeypatch.setattr(SaqEngine, "put", put_twice)
    events = await run(client, "echo", run_input(user("hello"), thread=thread))
    await run(client, "echo", run_input(user("again", "u2"), thread=thread, run="r2"))
    assert provider.ran == ["r", "r2"]
    assert types_of(events).count("RUN_FINISHED") == 1


async def _away(*_: Any) -> None:
    raise StoreUnavailableError


async def test_a_run_that_cannot_be_handed_over_leaves_its_thread_free(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = EchoProvider()
    runtime, client = await deployment.both(provider)
    kept = runtime.service.archive.store
    kept.settings = msgspec.structs.replace(kept.settings, retry_for=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(SaqEngine, "put", _away)
        lost = run_input(user("hello"), thread=thread, run="lost")
        response = await client.post(f"{AGUI}/echo/run", json=lost)
        assert response.status_code == 503, response.text
    events = await run(client, "echo", run_input(user("hello"), thread=thread, run="second"))
    assert types_of(events)[-1] == "RUN_FINISHED"
    assert provider.ran == ["second"]
    assert [record.status for record in await runtime.service.archive.runs(thread)] == ["failed", "finished"]


async def test_a_server_that_is_away_for_a_moment_fails_no_run_that_is_handed_over(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = EchoProvider()
    _, client = await deployment.both(provider)
    left = {"waiting": 2, "put": 2}

    def failing(name: str) -> Callable[..., Awaitable[Any]]:
        works = getattr(SaqEngine, name)

        async def fail_at_first(*given: Any) -> Any:
            if left[name]:
                left[name] -= 1
                raise StoreUnavailableError
            return await works(*given)

        return fail_at_first

    for name in left:
        monkeypatch.setattr(SaqEngine, name, failing(name))
    events = await run(client, "echo", run_input(user("hello"), thread=thread))
    assert types_of(events)[-1] == "RUN_FINISHED"
    assert left == {"waiting": 0, "put": 0}


class Gate:
    """Holds what comes to it until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    def before(self, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def held(*given: Any, **more: Any) -> Any:
            await self._wait()
            return await work(*given, **more)

        return held

    def after(self, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def held(*given: Any) -> Any:
            result = await work(*given)
            await self._wait()
            return result

        return held

    async def _wait(self) -> None:
        self.reached.set()
        await asyncio.wait_for(self.opened.wait(), PATIENCE)


@pytest.mark.parametrize("held", ["put", "open"])
@pytest.mark.parametrize(
    ("on_disconnect", "wire"), [("continue", "graphql"), ("cancel", "graphql"), ("cancel", "agui")]
)
async def test_a_request_that_ends_while_its_run_is_handed_over_leaves_what_its_wire_promises(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch, on_disconnect: str, wire: str, held: str
) -> None:
    provider = EchoProvider()
    runtime = CopilotRuntime(config=deployment.settings(on_disconnect=on_disconnect))
    await deployment.worker(provider)
    client = await deployment.client(runtime)
    gate, place = Gate(), SaqEngine if held == "put" else runtime.service.archive.store
    monkeypatch.setattr(place, held, gate.before(getattr(place, held)))
    agui = run_input(user("wait"), thread=thread)
    graphql = generate(text_message("wait"), agent="patient", threadId=thread)
    path, body = ("/api/copilotkit", graphql) if wire == "graphql" else (f"{AGUI}/patient/run", agui)
    asking = asyncio.create_task(client.post(path, json=body))
    await asyncio.wait_for(gate.reached.wait(), PATIENCE)
    asking.cancel()
    await asyncio.wait([asking], timeout=0.1)
    gate.opened.set()
    await asyncio.wait([asking], timeout=PATIENCE)
    assert asking.cancelled()
    if (on_disconnect, wire) != ("cancel", "graphql"):
        await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
        await client.post(f"{AGUI}/patient/stop/{thread}")

    async def over() -> bool:
        return [record.status for record in await runtime.service.archive.runs(thread)] == ["cancelled"]

    await until(over, PATIENCE)


async def just_taken(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, agent: str, asked: dict[str, Any]
) -> tuple[CopilotRuntime, Gate, asyncio.Task[list[dict[str, Any]]]]:
    """A worker that has taken a run from the store and not begun it, what holds it there, and the client's answer."""
    worker, client, gate = await deployment.worker(EchoProvider()), await deployment.web(), Gate()
    monkeypatch.setattr(worker.service.archive, "take", gate.after(worker.service.archive.take))
    running = asyncio.create_task(run(client, agent, asked))
    await asyncio.wait_for(gate.reached.wait(), PATIENCE)
    return worker, gate, running


async def test_a_run_that_a_worker_takes_while_it_is_about_to_end_has_the_grace_period_too(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, gate, running = await just_taken(deployment, monkeypatch, "echo", run_input(user("hello"), thread=thread))
    draining = asyncio.create_task(worker.service.drain(PATIENCE))
    await asyncio.wait([draining], timeout=0.5)
    assert not draining.done()
    gate.opened.set()
    assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_FINISHED"
    await asyncio.wait_for(draining, PATIENCE)


async def test_a_worker_that_stops_waits_for_no_run_that_it_has_only_just_taken(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, gate, running = await just_taken(deployment, monkeypatch, "patient", run_input(user("wait"), thread=thread))
    stopping = asyncio.create_task(worker.stop())
    await asyncio.wait([stopping], timeout=0.5)
    gate.opened.set()
    await asyncio.wait_for(stopping, PATIENCE)
    assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_ERROR"


async def test_a_run_that_a_worker_could_not_give_back_is_delivered_again(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saq_engine, "TAKEN_SECONDS", 1)
    ending, staying = EchoProvider(), EchoProvider()
    worker = await deployment.worker(ending)
    take, held, released = SaqEngine.take, asyncio.Event(), asyncio.Event()
    holders: list[SaqEngine] = []

    async def take_and_wait(engine: SaqEngine, *given: Any) -> Any:
        delivery = await take(engine, *given)
        if delivery is not None and not holders:
            holders.append(engine)
            monkeypatch.setattr(delivery, "give_back", unavailable)
            held.set()
            await asyncio.wait_for(released.wait(), PATIENCE)
        return delivery

    async def unavailable() -> None:
        raise StoreUnavailableError

    monkeypatch.setattr(SaqEngine, "take", take_and_wait)
    client = await deployment.web()
    running = asyncio.create_task(run(client, "echo", run_input(user("hello"), thread=thread)))
    await asyncio.wait_for(held.wait(), PATIENCE)
    worker.service.draining = True
    released.set()
    await deployment.worker(staying)
    assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_FINISHED"
    assert (ending.ran, staying.ran) == ([], ["r"])


@pytest.mark.parametrize("lost", ["the question", "the answer"])
async def test_a_run_that_a_worker_takes_while_the_store_does_not_answer_is_executed_once(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    provider = EchoProvider()
    worker = await deployment.worker(provider)
    store = worker.service.archive.store
    take, failures = store.take, [StoreUnavailableError(), StoreUnavailableError()]

    async def take_unless_away(key: RunKey, owner: str, held_by: str) -> Any:
        taken = await take(key, owner, held_by) if lost == "the answer" or not failures else None
        if failures:
            raise failures.pop()
        return taken

    monkeypatch.setattr(store, "take", take_unless_away)
    client = await deployment.web({"queue_timeout_seconds": 20})
    assert types_of(await run(client, "echo", run_input(user("hello"), thread=thread)))[-1] == "RUN_FINISHED"
    assert (provider.ran, failures) == (["r"], [])


async def test_a_run_that_no_worker_could_take_is_delivered_again(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saq_engine, "TAKEN_SECONDS", 1)
    provider = EchoProvider()
    worker = await deployment.worker(provider)
    archive, failures = worker.service.archive, [StoreUnavailableError()]
    take = archive.take

    async def take_unless_away(key: RunKey) -> Any:
        if failures:
            raise failures.pop()
        return await take(key)

    monkeypatch.setattr(archive, "take", take_unless_away)
    client = await deployment.web({"queue_timeout_seconds": 20})
    assert types_of(await run(client, "echo", run_input(user("hello"), thread=thread)))[-1] == "RUN_FINISHED"
    assert (provider.ran, failures) == (["r"], [])


async def test_a_run_whose_delivery_the_queue_forgets_is_delivered_again(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unbegun_runs, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(unbegun_runs, "LOOK_SECONDS", 0.1)
    provider, forgotten, put = EchoProvider(), list[RunKey](), SaqEngine.put

    async def put_and_forget(engine: SaqEngine, queue: str, key: RunKey) -> None:
        if forgotten:
            await put(engine, queue, key)
        forgotten.append(key)

    monkeypatch.setattr(SaqEngine, "put", put_and_forget)
    await deployment.worker(provider)
    client = await deployment.web()
    running = run(client, "echo", run_input(user("hello"), thread=thread))
    assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_FINISHED"
    assert provider.ran == ["r"]


async def test_a_run_that_a_worker_has_taken_is_followed_whatever_the_store_settles(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = EchoProvider()
    runtime, client = await deployment.both(provider)

    async def away_once_it_runs(_record: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            await provider.waiting.wait()
        raise StoreUnavailableError

    monkeypatch.setattr(runtime.service.archive, "settle", away_once_it_runs)
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=thread)))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)

    async def stopped() -> bool:
        return bool((await client.post(f"{AGUI}/patient/stop/{thread}")).json()["stopped"])

    await until(stopped, PATIENCE)
    assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_FINISHED"


async def test_a_stream_waits_for_a_store_that_is_away_for_longer_than_requests_wait(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = EchoProvider()
    runtime, client = await deployment.both(provider)
    other, store = await deployment.web(), runtime.service.archive.store
    store.settings = msgspec.structs.replace(store.settings, retry_for=0.0)
    read, failures = store.read, [StoreUnavailableError() for _ in range(3)]

    async def read_unless_away(key: RunKey, after: int = 0) -> Any:
        if provider.waiting.is_set() and failures:
            raise failures.pop()
        return await read(key, after)

    monkeypatch.setattr(store, "read", read_unless_away)
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=thread)))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
    await other.post(f"{AGUI}/patient/stop/{thread}")
    events = await asyncio.wait_for(running, PATIENCE)
    assert types_of(events)[-1] == "RUN_FINISHED"
    assert json.loads(said(events))["thread"] == thread
    assert failures == []


async def test_a_stop_is_sent_to_the_worker_which_need_not_look_for_it(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "BEAT_SECONDS", 3600.0)
    provider = EchoProvider()
    worker = await deployment.worker(provider)
    client = await deployment.web()
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=thread)))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)

    async def stops_arrive() -> bool:
        return worker.service.archive.store.stops.live

    await until(stops_arrive, PATIENCE)
    stopped = await client.post(f"{AGUI}/patient/stop/{thread}")
    assert stopped.json()["stopped"] is True
    events = await asyncio.wait_for(running, PATIENCE)
    assert types_of(events)[-1] == "RUN_FINISHED"
    assert "TEXT_MESSAGE_END" in types_of(events)


async def test_a_run_that_waits_for_a_worker_is_stopped_at_once_and_never_executed(
    deployment: Deployment, thread: str
) -> None:
    provider = EchoProvider()
    await deployment.worker(provider, {"worker_concurrency": 1})
    client = await deployment.web()
    first = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=f"{thread}-1", run="first")))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
    second = asyncio.create_task(run(client, "echo", run_input(user("hello"), thread=thread, run="second")))

    async def stopped() -> bool:
        return bool((await client.post(f"{AGUI}/echo/stop/{thread}")).json()["stopped"])

    await until(stopped, PATIENCE)
    assert types_of(await asyncio.wait_for(second, PATIENCE)) == ["RUN_STARTED", "RUN_FINISHED"]
    await client.post(f"{AGUI}/patient/stop/{thread}-1")
    await first
    assert provider.ran == ["first"]


async def test_agents_run_in_the_queues_that_they_are_pinned_to(deployment: Deployment, thread: str) -> None:
    light, heavy, pinned = EchoProvider(), EchoProvider(), EchoProvider()
    pins = {"agent_queues": ("patient=slow",)}
    await deployment.worker(light, pins)
    await deployment.worker(heavy, {"queues": ("heavy",), **pins})
    await deployment.worker(pinned, {"queues": ("slow",), **pins})
    client = await deployment.web()
    for agent in ("echo", "heavy"):
        await run(client, agent, run_input(user("hello"), thread=f"{thread}-{agent}", run=agent))
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=thread, run="patient")))
    await asyncio.wait_for(pinned.waiting.wait(), PATIENCE)
    await client.post(f"{AGUI}/patient/stop/{thread}")
    await running
    assert (light.ran, heavy.ran, pinned.ran) == (["echo"], ["heavy"], ["patient"])
    shown = (await client.get("/api/copilotkit/info")).json()["agents"]
    assert set(shown) >= {"echo", "heavy", "patient"}
    assert "queue" not in shown["heavy"]


async def is_refused_for_now(client: httpx.AsyncClient, thread: str) -> None:
    """A run is answered 503 with Retry-After on both wires."""
    graphql = generate(text_message("hello"), agent="echo")
    for path, body in ((f"{AGUI}/echo/run", run_input(user("hello"), thread=thread)), ("/api/copilotkit", graphql)):
        response = await client.post(path, json=body)
        assert response.status_code == 503, response.text
        assert int(response.headers["retry-after"]) > 0


async def test_a_web_process_that_starts_before_the_workers_refuses_runs_for_now_and_accepts_them_then(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "START_SECONDS", 0.0)
    client = await deployment.web()
    await is_refused_for_now(client, thread)
    await deployment.worker(EchoProvider())

    async def accepted() -> bool:
        response = await client.post(f"{AGUI}/echo/run", json=run_input(user("hello"), thread=thread))
        return response.status_code == 200

    await until(accepted, PATIENCE)


async def test_a_full_queue_is_answered_503_with_retry_after(
    deployment: Deployment, thread: str, places: list[int]
) -> None:
    provider = EchoProvider()
    await deployment.worker(provider, {"worker_concurrency": 1})
    client = await deployment.web({"queue_limit": 1})
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=f"{thread}-1")))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
    waiting = asyncio.create_task(run(client, "echo", run_input(user("hello"), thread=f"{thread}-2", run="2")))

    async def full() -> bool:
        return len(places) == 2

    await until(full, PATIENCE)
    await is_refused_for_now(client, f"{thread}-3")
    await client.post(f"{AGUI}/patient/stop/{thread}-1")
    await asyncio.gather(running, waiting)


async def test_a_run_that_waits_for_a_place_in_its_queue_is_accepted_and_its_client_sees_its_position(
    deployment: Deployment, thread: str, places: list[int]
) -> None:
    provider = EchoProvider()
    await deployment.worker(provider, {"worker_concurrency": 1})
    client = await deployment.web({"queue_limit": 2, "queue_full": "wait"})
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=f"{thread}-p")))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)

    async def ask(number: int) -> httpx.Response:
        headers = {"origin": "https://elsewhere.example"}
        if number == 2:
            return await client.post(
                "/api/copilotkit", json=generate(text_message("hi"), agent="echo"), headers=headers
            )
        body = run_input(user("hello"), thread=f"{thread}-{number}", run=str(number))
        return await client.post(f"{AGUI}/echo/run", json=body, headers=headers)

    asked = []
    for number in range(4):

        async def has_come(number: int = number) -> bool:
            return places == [0, *range(number + 1)]

        asked.append(asyncio.create_task(ask(number)))
        await until(has_come, PATIENCE)
    assert (await ask(4)).status_code == 503
    await client.post(f"{AGUI}/patient/stop/{thread}-p")
    answers = await asyncio.wait_for(asyncio.gather(*asked), PATIENCE)
    await running
    shown = [answer.headers.get("x-copilotkit-queue-position") for answer in answers]
    assert shown == [None, "2", "3", "4"]
    assert answers[3].headers["access-control-expose-headers"] == "x-copilotkit-queue-position"
    assert types_of(events_of(answers[3].text))[-1] == "RUN_FINISHED"
    assert provider.ran[1:2] == ["0"]
    assert len(provider.ran) == 5


class Resumable(EchoProvider):
    """Goes on with runs of others, and counts how many it has at once."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = self.most_at_once = 0

    def can_resume(self, agent_name: str) -> bool:
        return True

    def resume_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        return self.execute_run(agent_name, run, context)

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            async with aclosing(super().execute_run(agent_name, run, context)) as stream:
                async for event in stream:
                    yield event
        finally:
            self.at_once -= 1


async def test_a_run_that_a_worker_goes_on_with_counts_as_one_of_those_that_it_may_execute(
    deployment: Deployment, thread: str
) -> None:
    settings = {"worker_concurrency": 1, "on_crash": "resume"}
    first, second = Resumable(), Resumable()
    ending = await deployment.worker(first, settings)
    client = await deployment.web()
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=thread)))
    await asyncio.wait_for(first.waiting.wait(), PATIENCE)
    await deployment.worker(second, settings)
    await ending.service.drain(0)
    await asyncio.wait_for(second.waiting.wait(), PATIENCE)
    waiting = asyncio.create_task(run(client, "echo", run_input(user("hello"), thread=f"{thread}-2", run="2")))
    await asyncio.wait([waiting], timeout=1)
    await client.post(f"{AGUI}/patient/stop/{thread}")
    await asyncio.wait_for(running, PATIENCE)
    assert types_of(await asyncio.wait_for(waiting, PATIENCE))[-1] == "RUN_FINISHED"
    assert second.ran == ["r", "2"]
    assert second.most_at_once == 1


async def test_a_run_that_a_worker_claims_while_it_is_about_to_end_goes_on_in_another(
    deployment: Deployment, thread: str
) -> None:
    first, second, third = Resumable(), Resumable(), Resumable()
    ending = await deployment.worker(first, {"on_crash": "resume"})
    client = await deployment.web()
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=thread)))
    await asyncio.wait_for(first.waiting.wait(), PATIENCE)
    ending_too = await deployment.worker(second, {"on_crash": "resume"})
    ending_too.service.draining = True
    await ending.service.drain(0)
    await ending_too.service.broken_runs.sweep()
    await deployment.worker(third, {"on_crash": "resume"})
    await asyncio.wait_for(third.waiting.wait(), PATIENCE)
    await client.post(f"{AGUI}/patient/stop/{thread}")
    assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_FINISHED"
    assert (second.ran, third.ran) == ([], ["r"])


async def test_a_run_that_a_newer_web_process_hands_over_fails_with_what_to_do(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = EchoProvider()
    await deployment.worker(provider)
    client = await deployment.web()
    monkeypatch.setattr(queued, "seal", lambda *given: {**seal(*given), "version": VERSION + 1})
    events = await run(client, "echo", run_input(user("hello"), thread=thread))
    assert (events[-1]["type"], events[-1]["code"]) == ("RUN_ERROR", "RUN_NOT_EXECUTED")
    assert "update workers before web processes" in events[-1]["message"]
    assert provider.ran == []


def in_request(envelope: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**envelope, "request": {**envelope["request"], **fields}}


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no envelope": lambda _: None,
    "a list": lambda _: [1],
    "no request": lambda sealed: {**sealed, "request": {}},
    "a queue that is no name": lambda sealed: {**sealed, "queue": 7},
    "an agent that is not here": lambda sealed: in_request(sealed, agent_name="elsewhere"),
    "no agent": lambda sealed: in_request(sealed, agent_name=None),
    "messages of no kind": lambda sealed: in_request(sealed, input={"messages": [{"type": "x"}]}),
    "a time that is none": lambda sealed: {**sealed, "queued_at": "soon"},
    "a trace that is none": lambda sealed: {**sealed, "trace": {"traceparent": "x" * 100_000}},
    "names of log fields": lambda sealed: {**sealed, "correlation": {"event": "x", "level": "y", "exc_info": "z"}},
    "megabytes of log fields": lambda sealed: {**sealed, "correlation": {"correlation_id": "x" * 5_000_000}},
    "depth": lambda sealed: in_request(sealed, context={"properties": json.loads('{"a":' * 90 + "1" + "}" * 90)}),
}


async def test_whatever_is_handed_over_each_run_ends_and_the_next_one_is_executed(
    deployment: Deployment, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deployment.worker(EchoProvider())
    client = await deployment.web()
    for forge in FORGED.values():
        async with asyncio.timeout(PATIENCE):
            with monkeypatch.context() as patched:
                patched.setattr(queued, "seal", lambda *given, forge=forge: forge(seal(*given)))
                events = await run(client, "echo", run_input(user("hello"), thread=thread))
            assert events[-1]["type"] in ("RUN_ERROR", "RUN_FINISHED")
            events = await run(client, "echo", run_input(user("hello again", "u2"), thread=thread, run="next"))
            assert events[-1]["type"] == "RUN_FINISHED"


async def test_a_run_that_nobody_executes_in_time_fails(deployment: Deployment, thread: str) -> None:
    provider = EchoProvider()
    await deployment.worker(provider, {"worker_concurrency": 1})
    client = await deployment.web({"queue_timeout_seconds": 1})
    running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread=f"{thread}-1")))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
    events = await run(client, "echo", run_input(user("hello"), thread=thread, run="late"))
    assert (events[-1]["type"], events[-1]["code"]) == ("RUN_ERROR", "RUN_NOT_EXECUTED")
    await client.post(f"{AGUI}/patient/stop/{thread}-1")
    await running
    assert provider.ran == ["r"]


async def test_what_an_agent_remembers_itself_is_read_where_it_is(deployment: Deployment, thread: str) -> None:
    await deployment.worker(RememberingProvider())
    client = await deployment.web()
    await run(client, "echo", run_input(user("hello"), thread=thread))
    query = "query($data: LoadAgentStateInput!) { loadAgentState(data: $data) { threadExists state messages } }"
    variables = {"data": {"threadId": thread, "agentName": "echo"}}
    answer = (await client.post("/api/copilotkit", json={"query": query, "variables": variables})).json()
    assert json.loads(answer["data"]["loadAgentState"]["state"]) == {"thread": thread}


class Refusing(Guardrail):
    """Refuses what contains a word, and counts."""

    name = "refusing"

    def __init__(self) -> None:
        self.asked = 0

    async def check_input(self, check: InputCheck) -> Verdict:
        self.asked += 1
        return Verdict(allowed="bad" not in check.text, reason="not here")


async def test_hooks_and_guardrails_are_called_once_by_the_side_that_has_them(
    deployment: Deployment, thread: str
) -> None:
    calls: list[str] = []

    def before(name: str) -> Callable[[BeforeRequest], Awaitable[None]]:
        async def hook(given: BeforeRequest) -> None:
            calls.append(name)
            if name == "web" and given.thread_id == "refused":
                raise CopilotKitError("not you")

        return hook

    web_guard, worker_guard = Refusing(), Refusing()
    provider = EchoProvider()
    await deployment.worker(provider, guardrails=worker_guard, hooks=Hooks(on_before_request=before("worker")))
    bare = await deployment.web()
    await run(bare, "echo", run_input(user("hello"), thread=thread))
    assert (calls, worker_guard.asked) == (["worker"], 1)
    refused = await run(bare, "echo", run_input(user("bad"), thread=f"{thread}-2", run="2"))
    assert refused[-1]["type"] == "RUN_ERROR"

    client = await deployment.web(guardrails=web_guard, hooks=Hooks(on_before_request=before("web")))
    await run(client, "echo", run_input(user("hello"), thread=f"{thread}-3", run="3"))
    refused = await run(client, "echo", run_input(user("bad"), thread=f"{thread}-4", run="4"))
    assert refused[-1]["type"] == "RUN_ERROR"
    assert (calls, web_guard.asked, worker_guard.asked) == (["worker", "worker", "web", "web"], 2, 2)
    assert provider.ran == ["r", "3"]


async def test_who_opens_the_thread_in_another_web_process_sees_the_run(deployment: Deployment, thread: str) -> None:
    provider = EchoProvider()
    await deployment.worker(provider)
    one, two = await deployment.web(), await deployment.web()
    running = asyncio.create_task(run(one, "patient", run_input(user("wait"), thread=thread)))
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
    joined = asyncio.create_task(connect(two, "patient", thread))
    await asyncio.wait([joined], timeout=0.5)
    assert (await two.post(f"{AGUI}/patient/stop/{thread}")).json()["stopped"] is True
    for events in await asyncio.gather(running, joined):
        assert types_of(events)[-1] == "RUN_FINISHED"
        assert json.loads(said(events))["thread"] == thread


async def test_nothing_that_a_worker_needed_stays_with_the_run(deployment: Deployment, thread: str) -> None:
    worker = await deployment.worker(EchoProvider())
    client = await deployment.web()
    await run(client, "echo", whole_input(thread))

    async def stored() -> bool:
        return (await worker.service.archive.runs(thread))[0].status == "finished"

    await until(stored, PATIENCE)
    (record,) = await worker.service.archive.runs(thread)
    assert set(record.about) == {"messages", "answers"}  # and not what executing it needed


async def test_a_suggestion_leaves_nothing(deployment: Deployment) -> None:
    worker = await deployment.worker(EchoProvider())
    client = await deployment.web()
    body = run_input(user("suggest"), thread="s", forwardedProps={"__copilotkitSuggestion": True})
    response = await client.post(f"{AGUI}/echo/suggest", json=body)
    assert response.status_code == 200, response.text
    assert types_of(events_of(response.text))[-1] == "RUN_FINISHED"
    assert await worker.service.archive.find("s") is None


async def test_a_request_that_is_too_large_to_be_handed_over_is_refused(deployment: Deployment, thread: str) -> None:
    await deployment.worker(EchoProvider())
    client = await deployment.web({"store_max_bytes": 2000})
    response = await client.post(f"{AGUI}/echo/run", json=run_input(user("x" * 5000), thread=thread))
    assert response.status_code == 413
