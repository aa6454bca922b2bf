from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from copilotkit_runtime.providers.crewai.translation import Translator
from copilotkit_runtime.runtime import events

CALLS = {"c1": {"city": "Rome"}, "c2": {"city": "Oslo"}, "c3": {"city": "Bern"}}


def streamed(translator: Translator, calls: dict[str, Any]) -> None:
    for index, (id_, arguments) in enumerate(calls.items()):
        for piece in json.dumps(arguments):
            part = SimpleNamespace(id=id_, index=index, function=SimpleNamespace(name="weather"))
            happens(translator, "llm_stream_chunk", call_id="l", response_id="r", chunk=piece, tool_call=part)
    happens(translator, "llm_call_completed", call_id="l")


def happens(translator: Translator, type_: str, **fields: Any) -> Sequence[events.Event]:
    return translator.translate(None, SimpleNamespace(type=type_, **fields))


def results(translator: Translator, started: Iterable[Any], finished: Iterable[Any]) -> dict[str, str]:
    for arguments in started:
        assert happens(translator, "tool_usage_started", tool_name="weather", tool_args=arguments) == []
    seen = [
        happens(translator, "tool_usage_finished", tool_name="weather", tool_args=arguments, output=str(arguments))[0]
        for arguments in finished
    ]
    return {event.tool_call_id: event.content for event in seen if isinstance(event, events.ToolCallResult)}


@pytest.mark.parametrize("started", list(itertools.permutations(CALLS.values())), ids=str)
def test_calls_that_begin_and_end_in_any_order_have_their_own_results(started: Sequence[Any]) -> None:
    for finished in itertools.permutations(CALLS.values()):
        translator = Translator()
        streamed(translator, CALLS)
        assert results(translator, started, finished) == {id_: str(value) for id_, value in CALLS.items()}


def test_a_call_whose_arguments_were_changed_is_the_first_of_its_name() -> None:
    translator = Translator()
    streamed(translator, {"c1": {"city": "Rome"}})
    changed = {"city": "Rome", "unit": "C"}
    assert results(translator, [changed], [changed]) == {"c1": str(changed)}
