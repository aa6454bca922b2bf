"""Bad input, and agents that fail: each gets the contract's answer, and the server lives on."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from tests.parity.fold import fold
from tests.parity.wire import Answer, ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import action, event, generate, scripted, text, text_message
from tests.support.scripted_agent import ScriptedProvider

HELLO = {"query": "{hello}"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=RuntimeConfig(run_timeout_seconds=2))
    async with client_of(runtime) as client:
        yield client
        assert (await client.post(PATH, json=HELLO)).json() == {"data": {"hello": "Hello World"}}


async def answer(client: httpx.AsyncClient, body: dict[str, Any]) -> Answer:
    answer = await ask(client, PATH, body)
    assert answer.complete
    assert "Traceback" not in str(answer.parts)
    assert ".py" not in str(answer.parts)
    return answer


async def error(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    told = await answer(client, body)
    assert told.status == 200
    assert told.content_type.startswith("application/graphql-response+json")
    assert told.parts[0]["data"] is None
    return dict(told.parts[0]["errors"][0])


async def status(client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    told = await answer(client, body)
    assert told.parts[-1]["hasNext"] is False
    response = fold(told.parts)
    return response["status"], response["messages"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{bad", "POST body sent invalid JSON."),
        (b"", "POST body sent invalid JSON."),
        (b"null", "POST body is expected to be object but received null"),
        (b'"x"', "POST body is expected to be object but received string"),
        (b"[]", "Batching is not supported."),
        (b"{}", "Must provide query string."),
        (b'{"query":1}', 'Expected "query" param to be a string, but given number.'),
        (
            b'{"query":"{hello}","variables":[]}',
            'Expected "variables" param to be empty or an object, but given array.',
        ),
        (b'{"query":"{hello}","foo":1}', 'Unexpected parameter "foo" in the request body.'),
        (b'{"query":"{hello"}', "Syntax Error: Expected Name, found <EOF>."),
        (b'{"query":"{nope}"}', "Cannot query field 'nope' on type 'Query'."),
        (b'{"query":"query a{hello} query b{hello}"}', "Could not determine what operation to execute."),
    ],
)
async def test_a_malformed_request_is_refused_with_its_reason(
    client: httpx.AsyncClient, body: bytes, message: str
) -> None:
    headers = {"content-type": "application/json", "accept": "application/graphql-response+json"}
    response = await client.post(PATH, content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"].replace('"', "'") == message.replace('"', "'")


@pytest.mark.parametrize("content_type", ["text/plain", "Application/JSON", "multipart/form-data", ""])
async def test_another_content_type_is_not_read(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post(PATH, content=b'{"query":"{hello}"}', headers={"content-type": content_type})
    assert (response.status_code, response.content) == (415, b"")


@pytest.mark.parametrize("coding", ["gzip", "br", "x-none"])
@pytest.mark.parametrize("content_type", ["application/json", "application/graphql"])
async def test_a_compressed_body_is_refused_in_words(client: httpx.AsyncClient, coding: str, content_type: str) -> None:
    headers = {"content-type": content_type, "content-encoding": coding}
    response = await client.post(PATH, content=gzip.compress(b'{"query":"{hello}"}'), headers=headers)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")
    assert "must not be compressed" in response.json()["errors"][0]["message"]


async def test_a_body_that_is_said_to_be_as_it_is_is_read(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json={"query": "{hello}"}, headers={"content-encoding": "identity"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"metadata": {"requestType": "Bogus"}},
        {"bogus": 1},
        {"threadId": 5},
        {"forwardedParameters": {"maxTokens": "5"}},
        {"messages": [{"id": "m", "createdAt": "notadate"}]},
        {"messages": [{"id": "m", "createdAt": "2026-11-21"}]},
        {"messages": [{"id": "m", "createdAt": "2026-02-30T00:00:00Z"}]},
        {"messages": [{"id": "m", "createdAt": 1732000000000}]},
    ],
)
async def test_a_variable_of_the_wrong_type_is_refused(client: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    told = await answer(client, generate(**wrong))
    assert told.status == 400
    assert "$data" in told.parts[0]["errors"][0]["message"]


async def test_a_missing_variable_is_refused(client: httpx.AsyncClient) -> None:
    told = await answer(client, {**generate(), "variables": {}})
    assert told.status == 400
    assert "GenerateCopilotResponseInput!" in told.parts[0]["errors"][0]["message"]


async def test_an_unknown_agent_is_named_with_those_there_are(client: httpx.AsyncClient) -> None:
    told = await error(client, generate(text_message("hi"), agent="nobody"))
    assert told["message"].startswith("Agent 'nobody' was not found. Available agents are: scripted.")
    assert told["extensions"]["code"] == "AGENT_NOT_FOUND"
    assert told["extensions"]["originalError"]["message"] == told["message"]


async def test_without_agent_and_model_the_client_is_sent_how_to_get_one(client: httpx.AsyncClient) -> None:
    assert (await error(client, generate(text_message("hi"))))["extensions"]["code"] == "MISUSE"


async def test_a_tool_with_an_unparsable_schema_is_named(client: httpx.AsyncClient) -> None:
    broken = action("paint", jsonSchema="{nope")
    told = await error(client, generate(text_message("hi"), agent="scripted", frontend={"actions": [broken]}))
    assert "'paint'" in told["message"]
    assert told["extensions"]["code"] == "CONFIGURATION_ERROR"


async def test_an_agent_that_raises_before_its_first_event_fails_its_run(client: httpx.AsyncClient) -> None:
    told, messages = await status(client, scripted({"raise": "secret sauce"}))
    assert (told["code"], told["reason"], messages) == ("Failed", "UNKNOWN_ERROR", [])
    assert "secret" not in str(told)


async def test_an_agent_that_raises_within_a_message_keeps_what_it_sent(client: httpx.AsyncClient) -> None:
    told, messages = await status(client, scripted(*text("a", "par", "tial")[:-1], {"raise": "boom"}))
    assert told["code"] == "Failed"
    assert messages[0]["content"] == ["par", "tial"]
    assert messages[0]["status"]["reason"] == "Error streaming message content"


async def test_an_agent_that_raises_within_a_tool_call_fails_the_call(client: httpx.AsyncClient) -> None:
    started = event("TOOL_CALL_START", toolCallId="c", toolCallName="f")
    told, messages = await status(client, scripted(started, {"raise": "boom"}))
    assert told["code"] == "Failed"
    assert messages[0]["status"]["reason"].startswith("An unknown error has occurred in the action execution")


async def test_an_agent_that_raises_after_its_last_event_fails_its_run(client: httpx.AsyncClient) -> None:
    finished = event("RUN_FINISHED", threadId="t", runId="r")
    told, messages = await status(client, scripted(*text("a", "all"), finished, {"raise": "late"}))
    assert told["code"] == "Failed"
    assert messages[0]["status"]["code"] == "Success"


async def test_an_agent_that_reports_its_error_has_it_shown(client: httpx.AsyncClient) -> None:
    told, _ = await status(client, scripted(event("RUN_ERROR", message="The shop is closed.")))
    assert told["details"]["description"] == "The shop is closed."


async def test_an_agent_that_breaks_the_rules_fails_its_run(client: httpx.AsyncClient) -> None:
    told, _ = await status(client, scripted(event("TEXT_MESSAGE_CONTENT", messageId="x", delta="?")))
    assert "No active text message found with ID 'x'" in told["details"]["description"]


async def test_an_agent_that_never_ends_is_ended(client: httpx.AsyncClient) -> None:
    told, messages = await status(client, scripted(*text("a", "so far")[:-1], {"hang": True}))
    assert "did not finish within 2 seconds" in told["details"]["description"]
    assert messages[0]["content"] == ["so far"]


async def test_an_agent_that_stops_in_mid_message_has_it_closed(client: httpx.AsyncClient) -> None:
    told, messages = await status(client, scripted(*text("a", "done")[:-1]))
    assert told["code"] == messages[0]["status"]["code"] == "Success"


@pytest.mark.parametrize(
    ("declared", "count", "variables"),
    [
        ("", "-1", {}),
        ("", "null", {}),
        (", $n: Int", "$n", {"n": -1}),
        (", $n: Int", "$n", {"n": None}),
        (", $n: Int = -1", "$n", {}),
    ],
)
@pytest.mark.parametrize("place", ["messages", "content"])
async def test_a_list_that_begins_with_fewer_elements_than_none_is_refused_before_the_run(
    client: httpx.AsyncClient, place: str, declared: str, count: str, variables: dict[str, Any]
) -> None:
    body = scripted(*text("t", "never"))
    streamed = {
        each: f"@stream(initialCount: {count})" if each == place else "@stream" for each in ("messages", "content")
    }
    body["query"] = f"""mutation generateCopilotResponse($data: GenerateCopilotResponseInput!{declared}) {{
        generateCopilotResponse(data: $data) {{
            messages {streamed["messages"]} {{ ... on TextMessageOutput {{ content {streamed["content"]} }} }}
        }}
    }}"""
    body["variables"] = {"data": body["variables"]["data"], **variables}
    told = await answer(client, body)
    assert told.status == 400
    assert told.parts[0]["errors"][0]["message"] == "initialCount must be a positive integer"


@pytest.mark.parametrize(("declared", "count"), [(", $n: Int", "$n"), ("", "0"), ("", "1"), ("", "-1, if: false")])
async def test_any_other_beginning_of_a_list_is_served(client: httpx.AsyncClient, declared: str, count: str) -> None:
    body = scripted(*text("t", "served"))
    body["query"] = f"""mutation generateCopilotResponse($data: GenerateCopilotResponseInput!{declared}) {{
        generateCopilotResponse(data: $data) {{
            messages @stream {{ ... on TextMessageOutput {{ content @stream(initialCount: {count}) }} }}
        }}
    }}"""
    body["variables"] = {"data": body["variables"]["data"]}
    assert "served" in str((await answer(client, body)).parts)


@pytest.mark.parametrize("place", ["content", "context", "properties", "state", "arguments", "result", "schema"])
async def test_half_a_character_is_taken_anywhere(client: httpx.AsyncClient, place: str) -> None:
    def cut(where: str) -> str:
        return "cut \ud83c" if where == place else "whole"

    moment = "2026-11-20T00:00:00.000Z"
    call = {"name": "act", "arguments": json.dumps({"a": cut("arguments")})}
    answered = {"actionExecutionId": "c", "actionName": "act", "result": cut("result")}
    body = scripted(*text("t", "yes"))
    data = body["variables"]["data"]
    data["messages"][:0] = [
        text_message(cut("content"), id_="earlier"),
        {"id": "c", "createdAt": moment, "actionExecutionMessage": call},
        {"id": "r", "createdAt": moment, "resultMessage": answered},
    ]
    data["context"] = [{"description": "d", "value": cut("context")}]
    data["agentStates"] = [{"agentName": "scripted", "state": json.dumps({"a": cut("state")})}]
    schema = {"type": "object", "description": cut("schema")}
    data["frontend"]["actions"] = [{"name": "f", "description": "d", "jsonSchema": json.dumps(schema)}]
    body["variables"]["properties"] = {"p": cut("properties")}
    response = await client.post(PATH, content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert '"yes"' in response.text
    assert '"errors"' not in response.text
