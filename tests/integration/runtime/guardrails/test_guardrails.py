"""Guardrails over HTTP: they decide before anybody is asked, and whatever they do, the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from copilotkit_runtime import (
    CloudGuardrail,
    CopilotRuntime,
    Guardrail,
    Hooks,
    RunContext,
    RuntimeConfig,
    TopicGuardrail,
    TopicJudge,
    Verdict,
)
from copilotkit_runtime.runtime.guardrails import InputCheck, OutputCheck, denied
from copilotkit_runtime.testing import Request, ScriptedService, head
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import event, generate, scripted, text, text_message
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener, call, play_on, results, shown

KEY = {"x-copilotcloud-public-api-key": "ck_pub_1"}
RULES = {"guardrails": {"inputValidationRules": {"allowList": ["cooking"], "denyList": ["war"]}}}
UNAVAILABLE = "An unknown error has occurred in the guardrails validation"


def denial(reason: str) -> dict[str, Any]:
    return {
        "__typename": "FailedResponseStatus",
        "code": "Failed",
        "reason": "GUARDRAILS_VALIDATION_FAILED",
        "details": {"guardrailsReason": reason},
    }


async def say(runtime: CopilotRuntime, content: str, *, agent: str | None = None) -> Any:
    async with client_of(runtime) as client, asyncio.timeout(60):
        answer = await ask(client, PATH, generate(text_message(content), agent=agent))
    assert answer.complete
    return fold(answer.parts)


class Answering(Listener):
    """Notes what it is asked, and answers nothing."""

    def execute_run(self, agent_name: str, run: Any, context: Any) -> AsyncGenerator[Any]:
        self.given.append(run)
        return _nothing()


async def _nothing() -> AsyncGenerator[Any]:
    nothing: list[Any] = []
    for event_ in nothing:
        yield event_


@pytest.mark.parametrize("agent", ["scripted", None])
@pytest.mark.parametrize(
    ("guardrail", "passes", "content"),
    [
        (TopicGuardrail(deny=["nuclear war"], reason="No."), True, "warm up"),
        (TopicGuardrail(deny=["nuclear war"], reason="No."), False, "Is NUCLEAR  war near?"),
        (TopicGuardrail(deny=[re.compile(r"\d{16}")], reason="No."), False, "my card 1234567812345678"),
        (TopicGuardrail(allow=["cooking"], reason="No."), True, "Cooking, please"),
        (TopicGuardrail(allow=["cooking"], reason="No."), False, "Chess, please"),
        (TopicGuardrail(allow=["cooking"], deny=["fish"], reason="No."), False, "cooking fish"),
    ],
)
async def test_topics_are_allowed_or_denied_before_the_agent_is_called(
    agent: str | None, guardrail: TopicGuardrail, passes: bool, content: str
) -> None:
    listener = Answering()
    response = await say(CopilotRuntime([listener], model=listener, guardrails=guardrail), content, agent=agent)
    assert bool(listener.given) is passes
    assert (response["status"] == denial("No.")) is not passes


async def test_what_is_denied_is_not_kept() -> None:
    runtime = CopilotRuntime([ScriptedProvider()], guardrails=TopicGuardrail(deny=["war"], reason="No."))
    async with client_of(runtime) as client:
        peace = await play_on(client, *text("a", "peace"), agent="scripted", threadId="t-1")
        war = await play_on(client, *text("b", "war"), agent="scripted", threadId="t-2")
        kept = [await runtime.load_agent_state(thread_id=name, agent_name="scripted") for name in ("t-1", "t-2")]
    assert (peace["status"]["code"], war["status"]) == ("Success", denial("No."))
    assert [state is not None for state in kept] == [True, False]


async def test_a_denied_request_is_reported_to_the_hook_after_requests_with_its_reason() -> None:
    heard: list[Any] = []
    came = asyncio.Event()

    async def listen(told: Any) -> None:
        heard.append(told)
        came.set()

    runtime = CopilotRuntime(
        model=Answering(), guardrails=TopicGuardrail(deny=["war"], reason="No."), hooks=Hooks(on_after_request=listen)
    )
    async with client_of(runtime) as client:
        await ask(client, PATH, generate(text_message("war")))
        await came.wait()
    assert [message.content for message in heard[0].output_messages] == ["No."]


async def test_a_result_that_is_sent_back_is_not_text_to_judge() -> None:
    result = {
        "id": "result-c",
        "createdAt": "2026-11-21T00:00:00.000Z",
        "resultMessage": {"actionExecutionId": "c", "actionName": "look", "result": "war"},
    }
    listener = Answering()
    runtime = CopilotRuntime(model=listener, guardrails=TopicGuardrail(deny=["war"]))
    async with client_of(runtime) as client, asyncio.timeout(60):
        answer = await ask(client, PATH, generate(text_message("peace"), result))
    assert answer.complete
    assert fold(answer.parts)["status"]["code"] == "Success"
    assert listener.given


class Broken(Guardrail):
    """Cannot judge."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs

    async def check_input(self, check: InputCheck) -> Verdict:
        if self.hangs:
            await asyncio.Event().wait()
        raise RuntimeError("secret detail")


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("policy", ["open", "closed"])
async def test_a_guardrail_that_fails_or_hangs_follows_the_policy(hangs: bool, policy: Any) -> None:
    config = RuntimeConfig(guardrails_on_failure=policy, guardrails_timeout_seconds=0.2)
    listener = Answering()
    response = await say(CopilotRuntime(model=listener, guardrails=Broken(hangs=hangs), config=config), "hi")
    assert bool(listener.given) is (policy == "open")
    if policy == "closed":
        assert response["status"]["reason"] == "UNKNOWN_ERROR"
        assert response["status"]["details"]["description"] == UNAVAILABLE
    assert "secret" not in str(response)


class Late(Guardrail):
    """Lets itself not be cancelled, and judges when its time is over."""

    checks_output = True

    def __init__(self, *, allows: bool, of: str) -> None:
        self.allows, self.of = allows, of
        self.judges, self.judged = asyncio.Event(), asyncio.Event()

    async def check_input(self, check: InputCheck) -> Verdict:
        return await self._late() if self.of == "input" else Verdict(allowed=True)

    async def check_output(self, check: OutputCheck) -> Verdict:
        return await self._late() if self.of == "output" else Verdict(allowed=True)

    async def _late(self) -> Verdict:
        while not self.judges.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.judges.wait()
        self.judged.set()
        return Verdict(allowed=True) if self.allows else denied("Too late.")


@pytest.mark.parametrize("policy", ["open", "closed"])
@pytest.mark.parametrize("of", ["input", "output"])
@pytest.mark.parametrize("allows", [True, False])
async def test_a_verdict_that_comes_late_changes_nothing(allows: bool, of: str, policy: Any) -> None:
    config = RuntimeConfig(guardrails_on_failure=policy, guardrails_timeout_seconds=0.2)
    late = Late(allows=allows, of=of)
    runtime = CopilotRuntime(providers=[ScriptedProvider()], guardrails=late, config=config)
    async with client_of(runtime) as client, asyncio.timeout(60):
        answer = await ask(client, PATH, scripted(*text("a", "words of an answer")))
        assert runtime.service.active_runs == 0
        late.judges.set()
        await late.judged.wait()
        again = await ask(client, PATH, scripted(*text("b", "another"), threadId="other"))
    assert answer.complete
    assert again.complete
    assert (shown(fold(again.parts)) == ["another"]) is allows
    found = fold(answer.parts)
    if policy == "open":
        assert shown(found) == ["words of an answer"]
        assert found["status"]["code"] == "Success"
    else:
        assert "words of an answer" not in str(found)
        assert found["status"]["details"]["description"] == UNAVAILABLE


async def test_a_model_may_judge_topics() -> None:
    asked: list[tuple[str, str]] = []

    async def judge(instructions: str, text_: str) -> str:
        asked.append((instructions, text_))
        return "DENY: Only cooking, please." if "chess" in text_ else "ALLOW"

    runtime = CopilotRuntime(model=Answering(), guardrails=TopicJudge(judge, allow=["cooking"]))
    assert (await say(runtime, "chess?"))["status"] == denial("Only cooking, please.")
    assert (await say(runtime, "fish?"))["status"]["code"] == "Success"
    assert '"cooking"' in asked[0][0]
    assert asked[0][1] == '"chess?"'


async def test_a_model_provider_may_judge_topics() -> None:
    class Model(Listener):
        def execute_run(self, agent_name: str, run: Any, context: Any) -> AsyncGenerator[Any]:
            return _saying("DENY: ", "No.")

    response = await say(CopilotRuntime(model=Answering(), guardrails=TopicJudge(Model(), deny=["x"])), "hi")
    assert response["status"] == denial("No.")


async def _saying(*words: str) -> AsyncGenerator[Any]:
    from copilotkit_runtime import events

    yield events.TextMessageStart(message_id="j")
    for word in words:
        yield events.TextMessageContent(message_id="j", delta=word)


async def test_a_model_that_answers_neither_yes_nor_no_has_failed_to_judge() -> None:
    async def judge(instructions: str, text_: str) -> str:
        return "I would rather write a poem."

    response = await say(CopilotRuntime(model=Answering(), guardrails=TopicJudge(judge, deny=["x"])), "hi")
    assert response["status"]["details"]["description"] == UNAVAILABLE


class NoSecrets(Guardrail):
    """Lets no answer with a secret pass."""

    checks_output = True

    async def check_output(self, check: OutputCheck) -> Verdict:
        return denied("It is a secret.") if "secret" in check.text else Verdict(allowed=True)


async def test_an_answer_is_judged_before_it_is_shown() -> None:
    async with client_of(CopilotRuntime(model=ScriptedProvider(), guardrails=NoSecrets())) as client:
        good = await play_on(client, *text("a", "all ", "is well"))
        bad = await play_on(client, *text("a", "x" * 300), *text("b", "the sec", "ret"), *text("c", "more"))
    assert shown(good) == ["all is well"]
    assert shown(bad) == ["x" * 300, ""]
    assert bad["status"] == denial("It is a secret.")


async def test_a_long_answer_that_is_judged_still_streams() -> None:
    late = {**event("TEXT_MESSAGE_CONTENT", messageId="a", delta="end"), "after": 100}
    steps = [*text("a", *["word "] * 100)[:-1], late]
    async with (
        client_of(CopilotRuntime(model=ScriptedProvider(), guardrails=NoSecrets())) as client,
        asyncio.timeout(60),
        client.stream("POST", PATH, json=scripted(*steps, agent=None)) as response,
    ):
        async for chunk in response.aiter_text():
            if "word" in chunk:
                return
    raise AssertionError("the answer ended before its text came")


async def cloud(status: int, body: Any, content: str = "hello", *more: Guardrail, **config: Any) -> Any:
    """What the page sees, what the service was asked, and whether the model was."""
    listener = Answering()

    async def script(_request: Request) -> AsyncGenerator[bytes]:
        yield head("application/json", status=status) + (body if isinstance(body, bytes) else json.dumps(body).encode())

    async with ScriptedService(script) as service:
        settings = RuntimeConfig(cloud_base_url=service.url, **config)
        async with client_of(CopilotRuntime(model=listener, guardrails=more, config=settings)) as client:
            client.headers.update(KEY)
            history = [text_message("be kind", role="system", id_="s"), text_message("earlier", id_="e")]
            body_ = generate(*history, text_message(content), cloud=RULES)
            async with asyncio.timeout(60):
                answer = await ask(client, PATH, body_)
    assert answer.complete
    return fold(answer.parts), service.requests, bool(listener.given)


async def test_the_cloud_is_called_as_the_contract_requires() -> None:
    response, [request], asked = await cloud(200, {"status": "allowed"})
    assert (request.method, request.path) == ("POST", "/guardrails/validate")
    assert request.headers["x-copilotcloud-public-api-key"] == "ck_pub_1"
    assert request.json == {
        "input": "hello",
        "validTopics": ["cooking"],
        "invalidTopics": ["war"],
        "messages": [{"role": "user", "content": "earlier"}],
    }
    assert asked
    assert response["status"]["code"] == "Success"


async def test_the_clouds_denial_is_reported_with_its_reason() -> None:
    response, _, asked = await cloud(200, {"status": "denied", "reason": "Off topic."})
    assert response["status"] == denial("Off topic.")
    assert not asked


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {}), (401, {"message": "secret"}), (200, b"<html>"), (200, {"status": "perhaps"}), (302, b"")],
)
async def test_a_cloud_that_fails_closes_the_way(status: int, body: Any) -> None:
    response, _, asked = await cloud(status, body)
    assert response["status"]["details"]["description"] == UNAVAILABLE
    assert response["status"]["reason"] == "UNKNOWN_ERROR"
    assert not asked


async def test_a_cloud_that_fails_may_leave_the_way_open() -> None:
    response, _, asked = await cloud(500, {}, guardrails_on_failure="open")
    assert response["status"]["code"] == "Success"
    assert asked


async def test_a_cloud_that_hangs_or_is_not_there_ends_the_run_in_time() -> None:
    async def script(_request: Request) -> AsyncGenerator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with ScriptedService(script) as service:
        for url in (service.url, "http://127.0.0.1:9"):
            config = RuntimeConfig(cloud_base_url=url, guardrails_timeout_seconds=0.3)
            async with client_of(CopilotRuntime(model=Answering(), config=config)) as client:
                client.headers.update(KEY)
                async with asyncio.timeout(60):
                    answer = await ask(client, PATH, generate(text_message("hi"), cloud=RULES))
            assert fold(answer.parts)["status"]["details"]["description"] == UNAVAILABLE


async def test_the_runtimes_own_guardrails_come_before_the_cloud() -> None:
    response, requests, _ = await cloud(200, {"status": "allowed"}, "war", TopicGuardrail(deny=["war"], reason="No."))
    assert response["status"] == denial("No.")
    assert not requests


@pytest.mark.parametrize("settings", [{}, RULES])
async def test_cloud_settings_without_a_key_are_refused_as_the_contract_requires(settings: dict[str, Any]) -> None:
    async with client_of(CopilotRuntime(model=Answering())) as client:
        answer = await ask(client, PATH, generate(text_message("hi"), cloud=settings))
    [error] = answer.parts[0]["errors"]
    assert answer.status == 200
    assert error["message"] == "X-CopilotCloud-Public-API-Key header is required"
    assert "extensions" not in error


async def test_the_clients_lists_may_be_left_to_a_judge() -> None:
    asked: list[str] = []

    async def judge(instructions: str, text_: str) -> str:
        asked.append(instructions)
        return "DENY: No war."

    config = RuntimeConfig(cloud_base_url="off")
    async with client_of(CopilotRuntime(model=Answering(), guardrails=TopicJudge(judge), config=config)) as client:
        client.headers.update(KEY)
        answer = await ask(client, PATH, generate(text_message("hi"), cloud=RULES))
    assert fold(answer.parts)["status"] == denial("No war.")
    assert '"cooking"' in asked[0]
    assert '"war"' in asked[0]


async def test_a_key_without_guardrails_sends_nothing_to_the_cloud() -> None:
    config = RuntimeConfig(cloud_base_url="http://127.0.0.1:9")
    async with client_of(CopilotRuntime(model=Answering(), config=config)) as client:
        client.headers.update(KEY)
        answer = await ask(client, PATH, generate(text_message("hi"), cloud={}))
    assert fold(answer.parts)["status"]["code"] == "Success"


async def test_the_key_reaches_neither_providers_nor_actions() -> None:
    class Nosy(Listener):
        def execute_run(self, agent_name: str, run: Any, context: Any) -> AsyncGenerator[Any]:
            seen.append(context)
            return super().execute_run(agent_name, run, context)

    async def look(context: RunContext) -> str:
        seen.append(context)
        return "looked"

    seen: list[RunContext] = []
    async with client_of(CopilotRuntime(model=Nosy(), actions=[look])) as client:
        client.headers.update({**KEY, "x-other": "visible"})
        response = await play_on(client, *call("c", "look"), cloud={})
    assert results(response) == {"c": "looked"}
    assert [context.headers["x-other"] for context in seen] == ["visible"] * 2
    assert "ck_pub_1" not in str(seen)


async def test_a_denied_request_executes_no_action() -> None:
    ran = asyncio.Event()

    async def note() -> None:
        ran.set()

    runtime = CopilotRuntime(model=ScriptedProvider(), actions=[note], guardrails=TopicGuardrail(deny=["note"]))
    async with client_of(runtime) as client:
        response = await play_on(client, *call("c", "note"))
    assert response["status"]["reason"] == "GUARDRAILS_VALIDATION_FAILED"
    assert results(response) == {}
    assert not ran.is_set()


def test_a_guardrail_for_the_cloud_may_be_configured_by_hand() -> None:
    assert CloudGuardrail("http://cloud.test/").name == "cloud"
