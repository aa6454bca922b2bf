"""What is around runs on this wire: hooks, limits, guardrails, and which headers agents see."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from structlog.testing import capture_logs

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    Hooks,
    RunContext,
    RunInput,
    RuntimeConfig,
    TopicGuardrail,
    errors,
    events,
)
from copilotkit_runtime.runtime.hooks import BeforeRequest
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script, types_of, user
from tests.support.local_server import client_of
from tests.support.polling import until
from tests.support.scripted_agent import ScriptedProvider

CHOICE = {"toolChoice": {"type": "function", "function": {"name": "copilotkitSuggest"}}}


class Called:
    """Notes the names of the hooks that are called."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def has(self, name: str) -> bool:
        return name in self.names

    def hooks(self) -> Hooks:
        def noting(name: str) -> Any:
            return lambda _told: self.names.append(name)

        return Hooks(
            on_before_request=noting("before"),
            on_after_request=noting("after"),
            on_error=noting("error"),
            on_stop=noting("stop"),
        )


async def test_hooks_are_called_for_runs_and_not_for_suggestions() -> None:
    called = Called()
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], hooks=called.hooks())) as client:
        await run(client, "scripted", run_input(script(*say("hi"))))
        await until(lambda: called.has("after"))
        await run(client, "scripted", run_input(script(*say("idea")), forwardedProps=CHOICE))
        await client.post(f"{PATH}/agent/scripted/suggest", json=run_input(script(*say("idea"))))
        await connect(client, "scripted")
        await run(client, "scripted", run_input(script({"raise": "no"}, id_="u2"), run="r2"))
        await until(lambda: called.has("error"))
    assert called.names[:3] == ["before", "after", "before"]
    assert called.names.count("before") == 2


async def test_what_cannot_begin_for_a_fault_of_the_server_is_logged_with_its_stack() -> None:
    def fail(_request: BeforeRequest) -> None:
        raise errors.CopilotKitError("The quota cannot be read.") from OSError("no route to the host")

    hooks = Hooks(on_before_request=fail)
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], hooks=hooks)) as client:
        with capture_logs() as captured:
            refused = await client.post(f"{PATH}/agent/scripted/run", json=run_input(script(*say("hi"))))
    assert refused.status_code == 500
    (line,) = [line for line in captured if line["log_level"] in ("warning", "error")]
    assert (line["event"], str(line["exc_info"].__cause__)) == ("run_not_started", "no route to the host")


async def test_a_hook_refuses_with_the_answer_of_its_choice() -> None:
    def refuse(_request: BeforeRequest) -> None:
        raise errors.CopilotKitError("You have used up your quota.", status_code=402)

    hooks = Hooks(on_before_request=refuse)
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], hooks=hooks)) as client:
        refused = await client.post(f"{PATH}/agent/scripted/run", json=run_input(script(*say("hi"))))
        envelope = {"method": "agent/run", "params": {"agentId": "scripted"}, "body": run_input(script(*say("hi")))}
        by_envelope = await client.post(PATH, json=envelope)
    for answer in (refused, by_envelope):
        assert answer.status_code == 402
        assert answer.json() == {"error": "Failed to run agent", "message": "You have used up your quota."}


JSON_BODY = {"content-type": "application/json"}


async def in_pieces(body: Any) -> AsyncGenerator[bytes]:
    """A body whose length nobody announces."""
    text = json.dumps(body).encode()
    for at in range(0, len(text), 100):
        yield text[at : at + 100]


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"rate_limit": "1/hour"}, 429, "rate_limited"),
        ({"max_body_bytes": 300}, 413, "payload_too_large"),
        ({"max_body_bytes": 300, "max_image_bytes": 100}, 413, "payload_too_large"),
    ],
    ids=str,
)
async def test_limits_answer_in_json_on_every_path(limits: dict[str, Any], status: int, code: str) -> None:
    config = RuntimeConfig(**limits)
    body = run_input(user("x" * 400))
    envelope = {"method": "agent/run", "params": {"agentId": "scripted"}, "body": body}
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        await client.get(f"{PATH}/info")
        verbs = ("run", "connect", "suggest")
        answers = [await client.post(f"{PATH}/agent/scripted/{verb}", json=body) for verb in verbs]
        answers.append(await client.post(PATH, json=envelope))
        answers.append(await client.post(PATH, content=in_pieces(envelope), headers=JSON_BODY))
    for answer in answers:
        assert answer.status_code == status
        assert (answer.json()["error"], bool(answer.json()["message"])) == (code, True)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert status != 429 or int(answer.headers["retry-after"]) > 0


class HeadersProvider(AgentProvider):
    """Keeps the headers that it is given."""

    name = "headers"

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="headers")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        self.seen.append(dict(context.headers))
        yield events.TextMessageStart(message_id="a")
        yield events.TextMessageEnd(message_id="a")


async def test_runs_and_suggestions_give_agents_the_same_headers() -> None:
    provider = HeadersProvider()
    sent = {"authorization": "Bearer page", "x-page": "yes", "cookie": "a=1", "x-forwarded-for": "1.2.3.4"}
    async with client_of(CopilotRuntime(providers=[provider])) as client:
        for verb in ("run", "suggest"):
            await client.post(f"{PATH}/agent/headers/{verb}", json=run_input(user("hi")), headers=sent)
    assert provider.seen == [{"authorization": "Bearer page", "x-page": "yes"}] * 2


async def test_a_guardrail_that_refuses_is_read_by_the_client() -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], guardrails=[TopicGuardrail(deny=["swordfish"])])
    async with client_of(runtime) as client:
        answer = await client.post(f"{PATH}/agent/scripted/run", json=run_input(user("swordfish")))
    assert types_of(events_of(answer.text)) == ["RUN_STARTED", "RUN_ERROR"]
    assert "This topic is not allowed." in answer.text


PICTURE = {"type": "image", "source": {"type": "data", "value": "iVBO", "mimeType": "image/png"}}


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "swordfish"}, PICTURE],
        [PICTURE, {"type": "text", "text": "swordfish"}],
        [{"type": "text", "text": "swordfish"}, PICTURE, {"type": "text", "text": "please"}],
        [{"type": "text", "text": "swordfish"}, {**PICTURE, "type": "binary", "mimeType": "image/png", "data": "iVBO"}],
    ],
)
async def test_a_guardrail_reads_what_is_sent_with_attachments(parts: list[dict[str, Any]]) -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], guardrails=[TopicGuardrail(deny=["swordfish"])])
    said = {"id": "u", "role": "user", "content": parts}
    async with client_of(runtime) as client:
        answer = await client.post(f"{PATH}/agent/scripted/run", json=run_input(said))
    assert types_of(events_of(answer.text)) == ["RUN_STARTED", "RUN_ERROR"]
    assert "This topic is not allowed." in answer.text


@pytest.mark.parametrize("text", ['{"method":"info"', '{"method":"agent/run","body":{]}', '{"method":"info"} x'])
async def test_an_envelope_that_is_not_json_is_refused_as_one(text: str) -> None:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        refused = await client.post(PATH, content=text, headers=JSON_BODY)
        theirs = await client.post(PATH, content='{"query":"{hello}"', headers=JSON_BODY)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert theirs.json()["errors"][0]["message"] == "POST body sent invalid JSON."
