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
    counted: list[Counter[str]] = []
    async with runtime:
        for tokens in (SHORT, LONG):
            calls: Counter[str] = Counter()

            def count(frame: FrameType, event: str, _argument: object, calls: Counter[str] = calls) -> None:
                if event == "call":
                    calls["/".join(Path(frame.f_code.co_filename).parts[-3:])] += 1

            sys.setprofile(count)
            try:
                await answer(app, tokens)
            finally:
                sys.setprofile(None)
            counted.append(calls)
    short, long = counted
    assert short["runtime/runs/archive.py"] > 0
    modules = (
        "runs/archive",
        "runs/recorder",
        "runs/recording",
        "runs/compaction",
        "stores/run_log",
        "stores/memory_runs",
    )
    for module in (f"runtime/{each}.py" for each in modules):
        assert (long[module] - short[module]) / (LONG - SHORT) < 0.05, module
    executions = [module for module in long if module.startswith(("runtime/execution/", "server/execution"))]
    assert executions == [], "a run that is executed here has no part in queues"
