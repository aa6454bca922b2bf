"""The published clients' operation is answered without graphql-core from its second request on, and answered alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.wires.graphql.run_field import RunField
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import scripted, text
from tests.support.scripted_agent import ScriptedProvider

HERE = "threadId runId messages { __typename ... on TextMessageOutput { id content @stream } }"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        yield client


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    calls: list[bool] = []
    execute = RunField.execute

    async def counted(self: RunField, *arguments: Any) -> Any:
        calls.append(True)
        return await execute(self, *arguments)

    monkeypatch.setattr(RunField, "execute", counted)
    return calls


def asking(query: str, **variables: Any) -> dict[str, Any]:
    body = scripted(*text("m", "Hello", " there"), threadId="thread")
    given = {**body["variables"], **variables}
    return {"operationName": "Ask", "query": query, "variables": {k: v for k, v in given.items() if v is not ...}}


def without_moments(parts: list[dict[str, Any]]) -> str:
    return str([{key: value for key, value in part.items() if key != "createdAt"} for part in parts])


ASK = "mutation Ask($data: GenerateCopilotResponseInput!, $properties: JSONObject) {"


@pytest.mark.parametrize(
    "query",
    [
        f"{ASK} generateCopilotResponse(data: $data, properties: $properties) {{ {HERE} }} }}",
        f"{ASK} other: generateCopilotResponse(properties: $properties, data: $data) {{ {HERE} }} }}",
        f"mutation Ask($data: GenerateCopilotResponseInput!) {{ generateCopilotResponse(data: $data) {{ {HERE} }} }}",
        f"{ASK} generateCopilotResponse(data: $data, properties: $properties) {{ ...Rest }} }}"
        f" fragment Rest on CopilotResponse {{ {HERE} }}",
    ],
)
@pytest.mark.parametrize("properties", [{"a": 1}, None, ...])
async def test_both_ways_give_the_same_answer(
    client: httpx.AsyncClient, called: list[bool], query: str, properties: Any
) -> None:
    more = {} if "$properties" not in query else {"properties": properties}
    body = asking(query, **more)
    if "$properties" not in query:
        del body["variables"]["properties"]
    answers = [await ask(client, PATH, body) for _ in range(2)]
    first, second = (without_moments(answer.parts) for answer in answers)
    assert "Hello" in first
    assert first == second
    assert len(called) == 1


@pytest.mark.parametrize(
    "query",
    [
        f"{ASK} generateCopilotResponse(data: $data, properties: $properties) @skip(if: false) {{ {HERE} }} }}",
        f"{ASK} a: generateCopilotResponse(data: $data) {{ {HERE} }}"
        f" b: generateCopilotResponse(data: $data, properties: $properties) {{ {HERE} }} }}",
        f"{ASK} ... {{ generateCopilotResponse(data: $data, properties: $properties) {{ {HERE} }} }} }}",
        f"{ASK} generateCopilotResponse(data: $data, properties: {{}}) {{ {HERE} }} }}".replace(
            ", $properties: JSONObject", ""
        ),
    ],
)
async def test_what_has_another_shape_goes_to_graphql_core(
    client: httpx.AsyncClient, called: list[bool], query: str
) -> None:
    body = asking(query)
    if "$properties" not in query:
        del body["variables"]["properties"]
    for _ in range(2):
        answer = await ask(client, PATH, body)
        assert "Hello" in str(answer.parts)
    assert called == []


async def test_errors_are_the_same_both_ways(client: httpx.AsyncClient, called: list[bool]) -> None:
    good = asking(f"{ASK} generateCopilotResponse(data: $data, properties: $properties) {{ {HERE} }} }}")
    bad = {**good, "variables": {**good["variables"], "data": {**good["variables"]["data"]}}}
    bad["variables"]["data"]["agentSession"] = {"agentName": "nobody"}
    unfit = {**good, "variables": {"data": {"threadId": 1}}}
    before = [await ask(client, PATH, body) for body in (bad, unfit)]
    await ask(client, PATH, good)
    behind = [await ask(client, PATH, body) for body in (bad, unfit)]
    assert len(called) == 1, "what does not fit is graphql-core's to report"
    assert "nobody" in str(before[0].parts)
    for one, other in zip(before, behind, strict=True):
        assert (one.status, one.content_type, _stable(one.parts)) == (
            other.status,
            other.content_type,
            _stable(other.parts),
        )


def _stable(parts: list[dict[str, Any]]) -> list[Any]:
    errors = [error for part in parts for error in part["errors"]]
    assert errors
    for error in errors:
        error.get("extensions", {}).pop("correlationId", None)
    return errors
