"""Parameters as JSON Schema (docs/contract.md, appendix A): the TypeScript runtime's example, and edge cases."""

from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.runtime.actions.parameters import parameters_schema


def test_the_contracts_parameters_become_the_contracts_schema() -> None:
    parameters: list[dict[str, Any]] = [
        {"name": "name", "type": "string", "description": "who"},
        {"name": "n", "type": "number", "required": False},
        {"name": "tags", "type": "string[]"},
        {"name": "o", "type": "object", "attributes": [{"name": "x", "type": "number"}]},
    ]
    assert parameters_schema(parameters) == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "who"},
            "n": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "o": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
        },
        "required": ["name", "tags", "o"],
    }


@pytest.mark.parametrize(
    ("parameter", "schema"),
    [
        ({"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": "boolean", "description": "d"}, {"type": "boolean", "description": "d"}),
        ({}, {"type": "string"}),
        ({"type": "date"}, {"type": "string"}),
        ({"type": "object"}, {"type": "object"}),
        (
            {"type": "object[]", "attributes": [{"name": "x", "required": False}]},
            {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
        ),
    ],
)
def test_each_kind_of_parameter_has_its_schema(parameter: dict[str, Any], schema: dict[str, Any]) -> None:
    assert parameters_schema([{"name": "p", **parameter}])["properties"] == {"p": schema}


def test_no_parameters_are_an_empty_object() -> None:
    assert parameters_schema([]) == {"type": "object", "properties": {}, "required": []}
