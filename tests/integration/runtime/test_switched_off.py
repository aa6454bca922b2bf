"""Features that nobody asked for cost nothing per token."""

from __future__ import annotations

from scripts.benchmark.features import FEATURES, calls_per_token, runtimes


async def test_no_token_calls_a_feature_that_is_switched_off() -> None:
    counted = {}
    for name, runtime in runtimes().items():
        app = runtime.create_app()
        async with runtime:
            counted[name] = await calls_per_token(app)
    assert {feature: counted["off"][feature] for feature in FEATURES} == dict.fromkeys(FEATURES, 0)
    assert [feature for feature in FEATURES if not counted["on"][feature]] == [], "the count would not have seen them"
    assert counted["off"]["all"] < counted["on"]["all"]
