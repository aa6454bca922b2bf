"""The runtime that is measured, with hooks and guardrails: ``BENCH_FEATURES`` is "request", "token", or not set.

Those of a request look at its beginning and its end; those of a token look at each piece of the answer, too.
"""

from __future__ import annotations

import os
from typing import Any

from copilotkit_runtime import CopilotRuntime, Hooks, Observability, TopicGuardrail
from tests.support.scripted_agent import ScriptedProvider


async def _ignore(_hook_input: object) -> None:
    pass


def _features(kind: str | None) -> dict[str, Any]:
    if kind is None:
        return {}
    watched = Observability(on_request=_ignore, on_response=_ignore, progressive=kind == "token")
    hooks = Hooks(on_before_request=_ignore, on_after_request=_ignore, observability=watched)
    topics = TopicGuardrail(deny=["weather"], deny_output=["weather"] if kind == "token" else [])
    return {"hooks": hooks, "guardrails": [topics]}


runtime = CopilotRuntime(
    providers=[ScriptedProvider()],
    store=os.environ.get("COPILOTKIT_STORE", "memory://"),
    **_features(os.environ.get("BENCH_FEATURES")),
)
