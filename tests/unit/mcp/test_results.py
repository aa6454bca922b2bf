from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.providers.mcp.results import error_text, result_value


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


IMAGE = {"type": "image", "data": "AAAA", "mimeType": "image/png"}


@pytest.mark.parametrize(
    ("content", "structured", "value"),
    [
        ([text("hi")], None, "hi"),
        ([text("a"), text("b")], None, "a\nb"),
        ([text("a"), IMAGE], None, [text("a"), IMAGE]),
        ([], {"n": 1}, {"n": 1}),
        ([], None, None),
        ([text("5")], {"result": 5}, "5"),
        ([text("hi")], {"result": "hi"}, "hi"),
        ([text('{"n": 1}')], {"n": 1}, '{"n": 1}'),
        ([text('{"n": 1}')], {"n": 1, "nothing": None}, '{"n": 1}'),
        ([text("1"), text("2")], {"result": [1, 2]}, "1\n2"),
        ([text("a"), text("b")], {"result": ["a", "b"]}, "a\nb"),
        ([text("2 found")], {"found": ["a", "b"]}, {"content": "2 found", "structuredContent": {"found": ["a", "b"]}}),
        ([text("2 found")], {"result": [1, 2]}, {"content": "2 found", "structuredContent": {"result": [1, 2]}}),
        ([IMAGE], {"width": 3}, {"content": [IMAGE], "structuredContent": {"width": 3}}),
        ([text("{}"), IMAGE], {}, [text("{}"), IMAGE]),
    ],
)
def test_nothing_of_a_result_is_lost_and_nothing_is_there_twice(content: Any, structured: Any, value: Any) -> None:
    result = {"content": content, **({} if structured is None else {"structuredContent": structured})}
    assert result_value(result) == value


def test_an_error_is_reported_by_its_text_or_its_structure() -> None:
    assert error_text({"content": [text("no luck")], "structuredContent": {"code": 1}}) == "no luck"
    assert error_text({"content": [], "structuredContent": {"code": 1}}) == '{"code":1}'
    assert error_text({"content": []}) == ""
