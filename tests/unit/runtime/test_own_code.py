"""Which part of a stack its reader wrote."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

from copilotkit_runtime.runtime.own_code import own_part, own_turn
from copilotkit_runtime.runtime.python_files import import_file


def shown(work: Callable[[], object]) -> list[str]:
    """Return the functions in the stack of what the work raises, this test's own frames left out."""
    with pytest.raises(ValueError, match="property name") as raised:
        work()
    trace: TracebackType | None = raised.tb
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return [frame.name for frame in traceback.extract_tb(own_part(raised.value.with_traceback(trace)))]


def test_a_stack_begins_with_the_reader_s_own_code_and_goes_on_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "own_slip.py"
    file.write_text("import json\ndef parse(text):\n    return json.loads(text)\nparse('{')\n")
    names = shown(lambda: import_file(file, "own_slip"))
    assert names[:3] == ["<module>", "parse", "loads"]
    assert names[-1] == "raw_decode"


def test_a_stack_without_code_of_the_reader_s_own_is_shown_whole() -> None:
    assert shown(lambda: json.loads("{"))[0] == "loads"


def test_what_a_loop_calls_begins_with_the_reader_s_own_code() -> None:
    async def work() -> list[str]:
        return [frame.name for frame in own_turn(traceback.extract_stack())]

    assert asyncio.run(work()) == ["work"]
