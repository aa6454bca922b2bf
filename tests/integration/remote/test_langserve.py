from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from copilotkit_runtime.providers.langserve import LangServeChain
from copilotkit_runtime.runtime.errors import ConfigurationError, CopilotKitError, ProtocolError
from copilotkit_runtime.testing import Request, ScriptedService, head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def chain_with(schema: Any, output: Any = None) -> Any:
    async def script(request: Request) -> AsyncIterator[bytes]:
        answer = schema if request.path == "/chain/input_schema" else output or {"output": request.json["input"]}
        body = json.dumps(answer).encode()
        yield head("application/json", length=len(body)) + body

    return ScriptedService(script)


async def test_a_chain_with_one_value_takes_it_as_input() -> None:
    async with chain_with({"type": "string"}) as service:
        chain = LangServeChain("ask", service.url + "/chain/", description="Asks")
        described = await chain.describe()
        assert (described.name, described.description) == ("ask", "Asks")
        assert described.parameters["properties"] == {"input": {"type": "string"}}
        assert await chain.invoke({"input": "hi"}) == "hi"
        assert service.requests[-1].json == {"input": "hi", "config": {}, "kwargs": {}}
        assert [request.method for request in service.requests] == ["GET", "POST"]
        await chain.aclose()


async def test_a_chain_with_an_object_takes_all_arguments() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number"}}}
    async with chain_with(schema) as service:
        chain = LangServeChain("ask", service.url + "/chain")
        assert (await chain.describe()).parameters == schema
        assert await chain.invoke({"a": 1}) == {"a": 1}
        await chain.aclose()


async def test_a_chain_with_given_parameters_is_not_inspected() -> None:
    async with chain_with({}) as service:
        schema = {"type": "object", "properties": {"q": {"type": "string"}}}
        chain = LangServeChain("ask", service.url + "/chain", parameters=schema, single_argument="q")
        assert await chain.invoke({"q": "hi"}) == "hi"
        assert len(service.requests) == 1
        await chain.aclose()


async def test_an_input_that_no_model_can_fill_in_is_a_configuration_error() -> None:
    async with chain_with({"type": "array"}) as service:
        with pytest.raises(ConfigurationError, match="array"):
            await LangServeChain("ask", service.url + "/chain").describe()


async def test_an_answer_without_an_output_is_a_typed_error() -> None:
    async with chain_with({"type": "string"}, output={"detail": "no"}) as service:
        with pytest.raises(ProtocolError):
            await LangServeChain("ask", service.url + "/chain").invoke({"input": "x"})


async def test_nobody_listening_is_a_typed_error() -> None:
    async with chain_with({}) as service:
        url = service.url
    with pytest.raises(CopilotKitError):
        await LangServeChain("ask", url).describe()
