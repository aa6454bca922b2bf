"""A text that comes in many pieces takes little more memory than its letters, and each piece costs the same."""

from __future__ import annotations

import tracemalloc

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.growing_text import PIECES, GrowingText
from copilotkit_runtime.runtime.runs.log import TAIL_EVENTS, RunLog
from copilotkit_runtime.runtime.runs.transcript import Transcript

TOKENS = 40_000
LETTERS = 6


def test_what_is_folded_is_the_same_text_in_the_same_order() -> None:
    text, whole = GrowingText(), ""
    for number in range(3 * PIECES + 17):
        text.pieces.append(f"{number} ")
        whole += f"{number} "
        if number % 100 == 0:
            text.fold()
            assert (text.value(), len(text)) == (whole, number + 1)
    assert len(text.pieces) < 2 * PIECES
    text.close()
    assert (text.value(), len(text), len(text.pieces)) == (whole, 3 * PIECES + 17, 1)


def test_an_empty_text_is_empty() -> None:
    text = GrowingText()
    text.fold()
    assert (text.value(), len(text)) == ("", 0)
    text.close()
    assert text.value() == ""


async def test_a_long_run_s_log_and_transcript_take_little_more_than_its_text() -> None:
    log = RunLog(TOKENS)
    transcript = Transcript(log)
    start = events.TextMessageStart(message_id="m")
    transcript.record(start)
    log.force(start)

    def say(number: int) -> None:
        token = events.TextMessageContent(message_id="m", delta=f"{number:{LETTERS}}")
        log.append_nowait(token)

    for number in range(4 * TAIL_EVENTS):
        say(number)
    tracemalloc.start()
    try:
        for number in range(TOKENS):
            say(number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / TOKENS < 2 * LETTERS, "both have the letters once; pieces by themselves would be 70 bytes"
    (message,) = transcript.messages()
    assert log.pieces == TOKENS + 4 * TAIL_EVENTS
    assert message.content.endswith(f"{TOKENS - 1:{LETTERS}}")  # type: ignore[union-attr]
