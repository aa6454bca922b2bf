"""Whatever the schema lets a client ask is answered, in time, with a valid answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from tests.parity.servers import ours, serving

MOMENTS = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
schemathesis.graphql.scalar("DateTimeISO", MOMENTS.map(nodes.String))
schemathesis.graphql.scalar("JSONObject", st.just({}).map(lambda _: nodes.Object(fields=[])))

PATIENCE_SECONDS = 10
STRING = r'"(?:[^"\\]|\\.)*"'
EXPECTED = {
    "AGENT_NOT_FOUND",
    "CONFIGURATION_ERROR",
    "MISUSE",
    "GRAPHQL_VALIDATION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    None,
}


@pytest.fixture(scope="module")
def contract() -> Iterator[schemathesis.BaseSchema]:
    with serving(ours("tests/support/every_event.py:runtime")) as server:
        yield schemathesis.graphql.from_url(server.url)


OPERATIONS = ("hello", "availableAgents", "loadAgentState", "generateCopilotResponse")


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_of_the_schema_is_answered(contract: schemathesis.BaseSchema, name: str) -> None:
    operations = {operation.label.split(".")[1]: operation for operation in map(ok, contract.get_all_operations())}
    assert set(operations) == set(OPERATIONS)

    @given(operations[name].as_strategy())
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case) -> None:
        assert_answered(case)
        case.body = to_the_agent(case.body)
        assert_answered(case)

    check()


def assert_answered(case: schemathesis.Case) -> None:
    """The answer is valid, and an error is one of the catalogue or of GraphQL's own, never an unexpected one."""
    response = case.call(timeout=PATIENCE_SECONDS)
    assert response.status_code in (200, 400), response.content
    answer = json.loads(response.content)
    codes = {error.get("extensions", {}).get("code") for error in answer.get("errors", ())}
    assert answer.get("data") is not None or codes <= EXPECTED, answer


def to_the_agent(document: str) -> str:
    """The same question, put to the agent there is, with tools it can read."""
    named = re.sub(rf"agentName: {STRING}", 'agentName: "talker"', document)
    return re.sub(rf"jsonSchema: {STRING}", 'jsonSchema: "{}"', named)


def ok(result: Any) -> Any:
    return result.ok()
