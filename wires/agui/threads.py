"""Threads on this wire: list, read, rename, archive, delete. For everybody but its owner, a thread does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from ...runtime.agui_messages import messages_to_agui
from ...runtime.errors import ThreadBusyError, ThreadNotFoundError
from ...runtime.input_limits import MAX_ID_CHARACTERS
from ...runtime.messages import ReasoningMessage
from ...runtime.service import RuntimeService
from ...runtime.stores.interface import AgentState, ThreadInfo
from ..http.client import ClientRequest
from ..http.exchange import Exchange
from .agent_memory import remembered
from .agents import DEFAULT, Agent, find_agent
from .call import Call
from .gate import GateOptions
from .history import messages_of
from .past import Past
from .refusals import JsonRefusal, not_found, respond_json, thread_not_found
from .state_view import StateView

PAGE_THREADS = 50
MOST_THREADS = 200
NAME_CHARACTERS = 200
_MOST_PAGES = 20
_MOST_DIGITS = 18
"""Python refuses to read numbers of some thousand digits."""


class ThreadOperations:
    """Answers requests about threads.

    Args:
        service: Keeps the threads.
        lists: Whether clients may list threads.
    """

    def __init__(self, service: RuntimeService, *, lists: bool) -> None:
        self._service = service
        self._reasoning = service.config.reasoning
        self.lists = lists

    async def list(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Answer with a page of the caller's threads, last written first."""
        if not self.lists:
            raise not_found()
        query = {key: values[-1] for key, values in parse_qs(call.query).items()}
        agent_id = query.get("agentId")
        agent = None if agent_id is None else await self._key_of(agent_id)
        found, cursor = await self._page(
            client.identity,
            agent=agent,
            archived=query.get("includeArchived") == "true",
            limit=_page_size(query.get("limit", "")),
            cursor=query.get("cursor"),
        )
        body = {"threads": [_record(info, agent_id) for info in found], "nextCursor": cursor}
        await respond_json(exchange, body)

    async def _key_of(self, agent_id: str) -> str:
        """Return the name under which threads keep an agent's part, also of an agent that is no longer there."""
        try:
            return (await find_agent(self._service, agent_id)).key
        except JsonRefusal:
            return agent_id

    async def _page(
        self, owner: str | None, *, agent: str | None, archived: bool, limit: int, cursor: str | None
    ) -> tuple[Sequence[ThreadInfo], str | None]:
        found: list[ThreadInfo] = []
        for _ in range(_MOST_PAGES):
            page = await self._service.threads.page(owner=owner, limit=limit - len(found), cursor=cursor)
            found += [info for info in page.threads if _is_asked_for(info, agent, archived=archived)]
            cursor = page.cursor
            if cursor is None or len(found) >= limit:
                break
        return found, cursor

    async def messages(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Answer with a thread's messages."""
        kept = await self._kept(client, call.target.names["thread"])
        thread = messages_to_agui(message for message in kept.messages if not isinstance(message, ReasoningMessage))
        await respond_json(exchange, {"messages": [_flat(message) for message in thread]})

    async def events(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Answer with the events that a replay has."""
        thread_id = call.target.names["thread"]
        info = await self._service.threads.info(thread_id, client.identity)
        found = [] if info is None else await self._events(thread_id, client, await self._agent_of(info))
        await respond_json(exchange, {"events": found})

    async def _events(self, thread_id: str, client: ClientRequest, agent: Agent) -> Sequence[Any]:
        past = Past(self._service, agent, thread_id, client.identity, GateOptions(reasoning=self._reasoning))
        try:
            await past.load()
        except ThreadNotFoundError:  # it was deleted meanwhile
            return ()
        past.close()
        return [event async for events in past.replay() for event in events]

    async def state(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Answer with the agent's state on a thread."""
        kept = await self._kept(client, call.target.names["thread"])
        shown = StateView().snapshot(kept.state) if kept.state else []
        await respond_json(exchange, {"state": shown[0]["snapshot"] if shown else None})

    async def update(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Rename a thread, or put it into the archive or back; answer with its record."""
        thread_id, body = call.target.names["thread"], _body(call)
        await self._check(thread_id, client)
        if "name" in body:
            await self._service.threads.rename(thread_id, _name(body["name"]), identity=client.identity)
        if isinstance(body.get("archived"), bool):
            await self._service.threads.archive(thread_id, body["archived"], identity=client.identity)
        await respond_json(exchange, _record(await self._check(thread_id, client), body.get("agentId")))

    async def archive(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Put a thread into the archive."""
        thread_id = call.target.names["thread"]
        await self._check(thread_id, client)
        await self._service.threads.archive(thread_id, identity=client.identity)
        await respond_json(exchange, {"threadId": thread_id, "archived": True})

    async def delete(self, exchange: Exchange, client: ClientRequest, call: Call) -> None:
        """Delete a thread with everything that belongs to it; what runs there ends as if a person had stopped it."""
        thread_id = call.target.names["thread"]
        await self._check(thread_id, client)
        try:
            await self._service.stops.stop(thread_id, identity=client.identity)
            await self._service.threads.delete(thread_id, identity=client.identity)
        except ThreadNotFoundError as error:
            raise thread_not_found() from error
        except ThreadBusyError as error:
            raise JsonRefusal(409, {"error": "Thread busy", "message": error.message}) from error
        await respond_json(exchange, {"threadId": thread_id, "deleted": True})

    async def _agent_of(self, info: ThreadInfo) -> Agent:
        agents = await self._service.registry.agents()
        name = next((name for name in info.agents if name in agents), None)
        return await find_agent(self._service, DEFAULT) if name is None else Agent(name, agents[name][1])

    async def _check(self, thread_id: str, client: ClientRequest) -> ThreadInfo:
        info = await self._service.threads.info(thread_id, client.identity)
        if info is None:
            raise thread_not_found()
        return info

    async def _kept(self, client: ClientRequest, thread_id: str) -> AgentState:
        """Return what is kept of a thread; nothing if it is not there, or not the caller's."""
        threads = self._service.threads
        info = await threads.info(thread_id, client.identity)
        if info is None:
            return AgentState()
        try:
            return await threads.read(thread_id, client.identity, lambda _: self._kept_of(info))
        except ThreadNotFoundError:  # it was deleted meanwhile
            return AgentState()

    async def _kept_of(self, info: ThreadInfo) -> AgentState:
        agents = await self._service.registry.agents()
        for name in info.agents:
            if name in agents:
                kept = await remembered(Agent(name, agents[name][1]), info.thread_id)
                if kept is not None and (kept.state or kept.messages):
                    return kept
        archive = self._service.archive
        return AgentState(messages=await messages_of(archive, await archive.runs(info.thread_id)))


def _is_asked_for(info: ThreadInfo, agent: str | None, *, archived: bool) -> bool:
    return (archived or not info.archived) and (agent is None or agent in (info.agents or [""]))


def _page_size(text: str) -> int:
    if not text.isdecimal():
        return PAGE_THREADS
    return max(1, min(int(text[:_MOST_DIGITS]), MOST_THREADS))


def _record(info: ThreadInfo, agent_id: Any = None) -> dict[str, Any]:
    named = next((name for name in info.agents if name), DEFAULT)
    return {
        "id": info.thread_id,
        "name": info.name,
        "agentId": agent_id if isinstance(agent_id, str) and len(agent_id) <= MAX_ID_CHARACTERS else named,
        "organizationId": "",
        "createdById": info.owner or "",
        "archived": info.archived,
        "createdAt": _moment(info.created_at),
        "updatedAt": _moment(info.updated_at),
        "lastRunAt": _moment(info.updated_at),
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _flat(message: dict[str, Any]) -> dict[str, Any]:
    calls = message.pop("toolCalls", None)
    if calls is None:
        return message
    flat = [
        {"id": call["id"], "name": call["function"]["name"], "args": call["function"]["arguments"]} for call in calls
    ]
    return {**message, "toolCalls": flat}


def _body(call: Call) -> dict[str, Any]:
    data = call.optional_json
    if not isinstance(data, dict):
        raise JsonRefusal(400, {"error": "Invalid request body"})
    return data


def _name(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > NAME_CHARACTERS):
        raise JsonRefusal(400, {"error": f"A name is a text of at most {NAME_CHARACTERS} characters, or null."})
    return value.strip() or None if isinstance(value, str) else None
