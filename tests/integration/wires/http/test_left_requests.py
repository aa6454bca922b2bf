"""A client that leaves while it sends its request is nobody's error."""

from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime import CopilotRuntime
from tests.support.local_server import PATH
from tests.support.scripted_agent import ScriptedProvider


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", PATH),
        ("POST", f"{PATH}/agent/scripted/run"),
        ("POST", f"{PATH}/agent/scripted/connect"),
        ("POST", f"{PATH}/agent/scripted/stop/t"),
        ("PATCH", f"{PATH}/threads/t"),
        ("DELETE", f"{PATH}/threads/t"),
    ],
)
async def test_half_a_request_raises_nothing(method: str, path: str) -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()])
    came = [
        {"type": "http.request", "body": b'{"query":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return came.pop(0) if len(came) > 1 else came[0]

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"x"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    async with runtime:
        await runtime.create_app()(scope, receive, send)
    assert all(message.get("status", 400) == 400 for message in sent)
