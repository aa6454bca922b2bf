"""Features that nobody asked for cost nothing per token."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from scripts.benchmark.features import FEATURES, LONG, SHORT, answer, calls_per_token, runtimes


async def test_no_token_calls_a_feature_that_is_switched_off() -> None:
    counted = {}
    for name, runtime in runtimes().items():
        app = runtime.create_app()
        async with runtime:
            counted[name] = await calls_per_token(app)
    assert {feature: counted["off"][feature] for feature in FEATURES} == dict.fromkeys(FEATURES, 0)
    assert [feature for feature in FEATURES if not counted["on"][feature]] == [], "the count would not have seen them"
    assert counted["off"]["all"] < counted["on"]["all"]


async def test_a_run_that_only_this_process_can_read_is_recorded_without_a_call_per_token() -> None:
    runtime = runtimes()["off"]
    app = runtime.create_app()
    counted = []
    async with runtime:
        for tokens in (SHORT, LONG):
            calls: Counter[str] = Counter()

            def count(frame: FrameType, event: str, _argument: object, calls: Counter[str] = calls) -> None:
                if event == "call":
                    calls[Path(frame.f_code.co_filename).name] += 1

            sys.setprofile(count)
            try:
                await answer(app, tokens)
            finally:
                sys.setprofile(None)
            counted.append(calls)
    short, long = counted
    assert short["archive.py"] > 0
    for module in ("archive.py", "recorder.py", "recording.py", "compaction.py", "run_log.py", "memory_runs.py"):
        assert (long[module] - short[module]) / (LONG - SHORT) < 0.05, module
