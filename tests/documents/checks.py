"""What a reader would look at to see that a server works."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
import jwt

from tests.documents.identity_provider import token
from tests.documents.reader import Server
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.request_bodies import generate, text_message


def credentials(text: str) -> dict[str, str]:
    """What a client has to show."""
    if "x-user" in text:
        return {"x-user": "ann"}
    if "the-key-of-ann" in text:
        return {"authorization": "Bearer the-key-of-ann"}
    if found := re.search(r"COPILOTKIT_API_KEYS=\w+:([\w-]+)", text):
        return {"authorization": f"Bearer {found[1]}"}
    if found := re.search(r'issuer="(.+?)",\s+audience="(.+?)"', text):
        return {"authorization": f"Bearer {token(found[1], found[2])}"}
    if found := re.search(r'JwtAuth\(secret="(.+?)", audience="(.+?)"', text):
        signed = jwt.encode({"sub": "ann", "aud": found[2], "exp": 2**40}, found[1])
        return {"authorization": f"Bearer {signed}"}
    return {}


def complaints(server: Server) -> list[str]:
    """What the runtime itself logged that is more than news."""
    return [line for line in server.log.read_text(encoding="utf-8").splitlines() if _is_of_runtime(line)]


def _is_of_runtime(line: str) -> bool:
    logged = json.loads(line) if line.startswith("{") else {"logger": "", "level": "info"}
    return logged["logger"].startswith("copilotkit_runtime") and is_complaint(logged)


def is_complaint(logged: Mapping[str, Any]) -> bool:
    """Whether a logged line is more than news."""
    if logged["event"] == "request_refused" and logged["status"] == httpx.codes.UNAUTHORIZED:
        return False  # these checks themselves knock without credentials
    return logged["level"] not in {"debug", "info"}


async def answers(server: Server, command: str, program: str) -> None:
    """A server answers: it is there if others serve it, and it chats if its own command does."""
    if command.startswith("uvicorn"):
        paths = re.findall(r'mount\(app, "(.+?)"\)', program)
        assert paths
        for path in paths:
            await is_there(server.url.rstrip("/") + path, guarded="auth=" in program)
        return
    await chats(server.said, server.url, credentials(command + program))


async def is_there(url: str, *, guarded: bool) -> None:
    """A runtime is at ``url``, and lets in strangers unless it is guarded."""
    async with httpx.AsyncClient() as client:
        response = await client.post(url, json={"query": "{ hello }"})
    if guarded:
        assert response.status_code == httpx.codes.UNAUTHORIZED
    else:
        assert response.json() == {"data": {"hello": "Hello World"}}


async def chats(said: str, url: str, headers: dict[str, str]) -> None:
    """Every agent of a server answers, and so does its model if it said that it has one."""
    async with httpx.AsyncClient(timeout=40, headers=headers) as client:
        response = await client.post(url, json={"query": "{ availableAgents { agents { name } } }"})
        agents = [agent["name"] for agent in response.json()["data"]["availableAgents"]["agents"]]
        model = "  model    " in said and "  model    none" not in said
        assert agents or model
        for agent in [*agents, *([None] if model else [])]:
            await speaks(client, url, agent)
    if headers:
        async with httpx.AsyncClient() as stranger:
            assert (await stranger.post(url, json={"query": "{ hello }"})).status_code == 401


async def speaks(client: httpx.AsyncClient, url: str, agent: str | None) -> None:
    """An agent, or the model, sends something to the end."""
    body = generate(text_message("hello about our products"), agent=agent, threadId=f"thread-of-{agent}")
    answer = await ask(client, url, body, patience=40)
    assert answer.complete
    response = fold(answer.parts)
    assert response["status"]["code"] == "Success", response["status"]
    assert any("".join(message.get("content", [])) for message in response["messages"])
