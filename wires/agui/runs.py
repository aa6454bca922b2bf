"""Runs on this wire: start, stop, suggest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec

from ...runtime.context import RunContext, RunInput
from ...runtime.errors import CopilotKitError, ThreadNotFoundError, TryLaterError
from ...runtime.generated_ui.apps import AppServers, read_app_request
from ...runtime.input_limits import newest
from ...runtime.messages import Message, ToolCallMessage
from ...runtime.provider import AgentProvider
from ...runtime.request import RunRequest
from ...runtime.runs.about import brought_by
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.sent_messages import join_history
from ...runtime.service import RuntimeService
from ..http.admission import Admission
from ..http.batching import Batching
from ..http.client import ClientRequest
from ..http.connection import unless_disconnected
from ..http.credentials import Credentials
from ..http.exchange import Exchange
from ..http.keep_alive import KeepAliveClock
from ..http.refusal import Refusal, busy
from .agents import DEFAULT, Agent, find_agent
from .call import Call
from .debug_feed import DebugFeed, Watch
from .event_stream import EventStream
from .forwarded_headers import forwarded_headers
from .frames import STREAM_HEADERS
from .gate import Gate, GateOptions
from .history import messages_of
from .joined_run import JoinedRun
from .later_runs import LaterRuns
from .open_questions import asked_last, lack_questions, with_questions
from .past import Past
from .refusals import respond_json, run_refusal, stop_refusal
from .requests import (
    PROXIED_MCP_REQUEST,
    RunAgentInput,
    first_words,
    input_messages,
    read_run_input,
    run_request,
)
from .started_run import StartedRun

_NO_MCP = "This runtime does not pass requests on to MCP servers."
_STOPPED = {"type": "RUN_ERROR", "message": "Run stopped by user", "code": "STOPPED"}


class Runs:
    """Starts runs for clients and writes what happens.

    Args:
        service: Runs agents.
        admission: Counts operations and runs.
        clock: Decides when silent streams write a comment.
        feed: Shows developers what clients get; None if nobody may see it.
        streaming: Watches the streaming of an answer in a block.
    """

    def __init__(
        self,
        service: RuntimeService,
        admission: Admission,
        clock: KeepAliveClock,
        feed: DebugFeed | None = None,
        streaming: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._service = service
        self._clock = clock
        self._admission = admission
        self._feed = feed
        self._streaming = streaming
        self._config = service.config

    async def _asked(self, call: Call) -> tuple[Agent, RunAgentInput]:
        """Return the agent that a call names, and what it is given.

        Raises:
            Refusal: The agent does not exist, or the body cannot be read, or there is too much of it.
        """
        agent = await find_agent(self._service, call.target.names["agent"])
        return agent, read_run_input(call.json, self._config.max_messages)

    async def run(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Run an agent and write what it does until it ends. A client that goes does not stop the run."""
        agent, given = await self._asked(call)
        call.release()
        if given.is_proxied_mcp_request:
            await unless_disconnected(exchange, self._answer_app(exchange, agent, given))
            return
        if given.is_suggestion:
            await self._suggest(exchange, client, agent, given)
            return
        watch = self._watch(call.target.names["agent"], given)
        started: list[RunHandle] = []
        with self._admission.running(client, 1, started):
            handle = await self._begin(client, agent, given)
            started.append(handle)
            exchange.runs.append(handle)
            gate = self._gate(agent, given)
            del agent, given  # an open stream would keep the thread as it was sent
            try:
                await unless_disconnected(exchange, self._stream(exchange, handle, gate, watch))
            finally:
                handle.close()

    async def _begin(self, client: ClientRequest, agent: Agent, given: RunAgentInput) -> RunHandle:
        # Until what is kept of the thread has been read, a stop may come.
        coming = RunInput(thread_id=given.thread_id, run_id=given.run_id)
        with self._service.stops.about_to_begin(coming, client.identity):
            return await self._start(await self._request(client, agent, given))

    async def _stream(self, exchange: Exchange, handle: RunHandle, gate: Gate, watch: Watch | None) -> None:
        with self._streaming():
            async with EventStream(exchange, self._clock) as stream:
                # What is kept of a run elsewhere may be compacted before this process has read it.
                source = JoinedRun(handle, handle.reopened) if handle.is_elsewhere else StartedRun(handle)
                batching = Batching(self._config.stream_batch_seconds)
                try:
                    await stream.follow(source, gate, watch, batching, ends=True)
                finally:
                    source.close()

    def _watch(self, agent_id: str, given: RunAgentInput) -> Watch | None:
        return None if self._feed is None else self._feed.watch(agent_id, given.thread_id, given.run_id)

    async def suggest(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Let an agent or model make suggestions: nothing is kept, and the client's leaving ends it."""
        agent, given = await self._asked(call)
        await self._suggest(exchange, client, agent, given)

    async def _suggest(self, exchange: Exchange, client: ClientRequest, agent: Agent, given: RunAgentInput) -> None:
        request = run_request(given, agent.name, self.context_of(client), input_messages(given))
        request.input.thread_id = f"suggestions-{uuid4()}"
        request.ephemeral = True
        started: list[RunHandle] = []
        with self._admission.running(client, 1, started):
            handle = await self._start(request)
            started.append(handle)
            exchange.runs.append(handle)
            gate = Gate(
                given.thread_id, given.run_id, msgspec.structs.replace(self.options(agent.provider), quiet=True)
            )
            try:
                await unless_disconnected(exchange, self._stream(exchange, handle, gate, None))
            finally:
                handle.close()
                await handle.cancel()

    async def connect(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Write a thread's history, then the run that goes on in it until it ends.

        A thread that is not there, or not the caller's, has an empty history: every new page asks for one.

        Raises:
            Refusal: The client follows too many threads.
        """
        with self._admission.joining(client):
            await self._connect(exchange, client, call)

    async def _connect(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        agent, given = await self._asked(call)
        watch = self._watch(call.target.names["agent"], given)
        stays = self._config.connect_stays_open
        options = self.options(agent.provider)
        past = Past(self._service, agent, given.thread_id, client.identity, options, stays=stays)
        if stays:
            later = LaterRuns(self._service.next_runs, past)
            credentials = Credentials(self._admission, exchange.request, client)
            async with credentials.ending(later.end):
                with closing(past), closing(later):
                    await unless_disconnected(exchange, self._stay(exchange, past, later, watch))
            return
        with closing(past):
            try:
                await past.load()
            except ThreadNotFoundError:
                await exchange.respond(200, headers=list(STREAM_HEADERS))
                return
            for run in past.running:
                exchange.join(run.handle)
            with self._streaming():
                await unless_disconnected(exchange, self._replay(exchange, past, watch))

    async def _replay(self, exchange: Exchange, past: Past, watch: Watch | None) -> None:
        async with EventStream(exchange, self._clock) as stream:
            await self._write(stream, past, watch)

    async def _stay(self, exchange: Exchange, past: Past, later: LaterRuns, watch: Watch | None) -> None:
        """Write a thread's history, and its runs as they come, until the runtime ends or the client goes."""
        async with EventStream(exchange, self._clock) as stream:
            with suppress(ThreadNotFoundError):
                await past.load()
            while True:
                if past.last is not None:
                    with self._streaming():
                        await self._write(stream, past, watch)
                if not await stream.during(later.come()):
                    return

    async def _write(self, stream: EventStream, past: Past, watch: Watch | None) -> None:
        async for events in past.replay():
            if watch is not None:
                watch(events)
            await stream.write_events(events)
        for run in past.running:
            gate = past.gate(run)
            await stream.follow(run.source, gate, watch, Batching(self._config.stream_batch_seconds))
            past.followed(run, gate)

    async def stop(self, exchange: Exchange, client: ClientRequest, names: Mapping[str, str], data: Any) -> None:
        """Stop what runs in a thread, wherever it runs."""
        run_id = _stopped_run(data)
        await find_agent(self._service, names["agent"])
        thread_id = names["thread"]
        try:
            stopped = await self._service.stops.stop(thread_id, run_id=run_id, identity=client.identity)
            named = run_id
        except ThreadNotFoundError:
            stopped, named = False, None
        if stopped or await self._service.stops.stop_ahead(thread_id, run_id=run_id, identity=client.identity):
            await respond_json(exchange, {"stopped": True, "interrupt": _STOPPED})
        elif named is None or not await self._is_running(thread_id, client):
            await respond_json(exchange, {"stopped": False, "message": f"No active run for thread '{thread_id}'."})
        else:
            text = f"Run '{run_id}' is not the active run for thread '{thread_id}'."
            await respond_json(exchange, {"stopped": False, "message": text})

    async def _is_running(self, thread_id: str, client: ClientRequest) -> bool:
        handle = await self._service.readers.attach(thread_id, identity=client.identity, paces=False)
        if handle is not None:
            handle.close()
        return handle is not None

    def context_of(self, client: ClientRequest) -> RunContext:
        """Return the caller, and the headers that agents see."""
        config = self._config
        return RunContext(
            headers=forwarded_headers(client.headers, config.forward_headers, config.deny_headers),
            url=client.headers.get("referer"),
            identity=client.identity,
            claims=client.claims,
        )

    def options(self, provider: AgentProvider, *, history: bool = False) -> GateOptions:
        """Return what clients of this server get of a provider's events."""
        return GateOptions(
            reasoning=self._config.reasoning,
            interrupt_outcome=self._config.interrupt_outcome,
            raw=self._config.raw_events,
            encrypted_reasoning="reasoning" in provider.takes,
            history=history,
        )

    def _gate(self, agent: Agent, given: RunAgentInput) -> Gate:
        known = (message["id"] for message in given.messages if isinstance(message.get("id"), str))
        answered = (id_ for message in given.messages if isinstance(id_ := message.get("toolCallId"), str))
        started = {"parentRunId": given.parent_run_id} if given.parent_run_id is not None else {}
        options = self.options(agent.provider)
        return Gate(
            given.thread_id,
            given.run_id,
            options,
            known=known,
            answered=answered,
            started=started,
            sent_state=True,
        )

    async def _request(self, client: ClientRequest, agent: Agent, given: RunAgentInput) -> RunRequest:
        cancelled = self._config.interrupt_cancelled
        messages = await self._messages(client, agent, given)
        request = run_request(given, agent.name, self.context_of(client), messages, cancelled=cancelled)
        request.cloud_key = client.cloud_key
        request.thread_name = first_words(given.messages) if self._config.name_threads else None
        request.sends_part = agent.name is not None and not agent.provider.keeps_state
        if lack_questions(request.input.resume):
            questions = await self._asked_last(given.thread_id, agent, client)
            request.input.resume = with_questions(request.input.resume, questions)
        return request

    async def _messages(self, client: ClientRequest, agent: Agent, given: RunAgentInput) -> list[Message]:
        """Return the messages that were sent, and for an agent without a memory of its own those that are kept."""
        if agent.provider.keeps_state:
            return input_messages(given)
        kept = await self._kept(agent, given, client)
        names = {call.id: call.name for call in kept if isinstance(call, ToolCallMessage)}
        return newest(join_history(kept, input_messages(given, names)), self._config.max_messages)

    async def _asked_last(self, thread_id: str, agent: Agent, client: ClientRequest) -> Mapping[str, Any]:
        archive = self._service.archive
        try:
            return await self._service.threads.read(
                thread_id, client.identity, lambda id_: asked_last(archive, id_, agent.key)
            )
        except ThreadNotFoundError:
            return {}

    async def _kept(self, agent: Agent, given: RunAgentInput, client: ClientRequest) -> Sequence[Message]:
        """Return what is kept of the thread's messages; of a model's thread, only if the client does not send all."""
        if agent.name is not None:
            kept = await self._service.load_agent_state(
                thread_id=given.thread_id, agent_name=agent.name, identity=client.identity
            )
            return kept.messages if kept is not None else ()
        try:
            return await self._service.threads.read(given.thread_id, client.identity, partial(self._unsent, given))
        except ThreadNotFoundError:
            return ()

    async def _unsent(self, given: RunAgentInput, thread_id: str) -> Sequence[Message]:
        records = await self._service.archive.runs(thread_id)
        sent = {message.get("id") for message in given.messages}
        if all(message.id in sent for message in (brought_by(records[0].about) if records else ())):
            return ()
        return await messages_of(self._service.archive, records)

    async def _start(self, request: RunRequest) -> RunHandle:
        try:
            return await self._service.start(request)
        except Refusal:
            raise
        except TryLaterError as error:
            raise busy(error, error.retry_after) from error
        except Exception as error:
            raise run_refusal(error, shown=self._config.shows_errors) from error

    async def _answer_app(self, exchange: Exchange, agent: Agent, given: RunAgentInput) -> None:
        """Answer the page of an MCP app, which asks its server by a run that is none."""
        ids = {"threadId": given.thread_id, "runId": given.run_id}
        async with EventStream(exchange, self._clock) as stream:
            await stream.write_events([{"type": "RUN_STARTED", **ids}])
            apps = self._service.preparation.interfaces.apps
            if apps is None:
                ending = {"type": "RUN_ERROR", "message": _NO_MCP, "code": "NOT_SUPPORTED"}
            else:
                ending = {"type": "RUN_FINISHED", **ids, "result": await stream.during(_app_result(apps, agent, given))}
            await stream.write_events([ending])


async def _app_result(apps: AppServers, agent: Agent, given: RunAgentInput) -> Any:
    """Return the server's answer, or what is wrong in the form that clients expect in its place."""
    request = read_app_request(given.forwarded_props[PROXIED_MCP_REQUEST], agent.name or DEFAULT)
    if request is None:
        return {"error": "The request of the app cannot be read."}
    try:
        return await apps.request(request)
    except CopilotKitError as error:
        return {"error": error.message}


def _stopped_run(data: Any) -> str | None:
    """Return the run that a stop names; clients before 1.73.1 send no body."""
    if data is None:
        return None
    if not isinstance(data, dict) or data.keys() - {"runId"}:
        raise stop_refusal("Invalid stop request")
    run_id = data.get("runId")
    if "runId" in data and (not isinstance(run_id, str) or not run_id.strip()):
        raise stop_refusal("Invalid runId")
    return run_id
