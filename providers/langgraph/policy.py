"""What an agent's author shows clients of one model call.

The keys are those of the SDK's ``copilotkit_customize_config`` and of its state streaming middleware; they
travel in the call's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ...runtime.predictions import Prediction, parse_predictions


class EmitPolicy(Struct, frozen=True):
    """Whether a call's text shows, which of its tool calls do, and what they predict."""

    messages: bool = True
    tool_calls: bool | frozenset[str] = True
    predictions: tuple[Prediction, ...] = ()

    def shows_tool(self, name: str) -> bool:
        """Return whether a call of this tool is shown."""
        return name in self.tool_calls if isinstance(self.tool_calls, frozenset) else self.tool_calls

    def predicted_by(self, tool: str) -> tuple[Prediction, ...]:
        """Return what a call of this tool predicts."""
        return tuple(prediction for prediction in self.predictions if prediction.tool == tool)


EVERYTHING = EmitPolicy()
NOTHING = EmitPolicy(messages=False, tool_calls=False)
_PREDICTION_KEYS = ("copilotkit:emit-intermediate-state", "predict_state")


def policy_of(metadata: Mapping[str, Any]) -> EmitPolicy:
    """Return the policy in a model call's metadata. Calls that LangChain's middleware makes for itself show nothing."""
    if metadata.get("lc_internal_call") or metadata.get("lc_source"):
        return NOTHING
    policy = EmitPolicy(
        messages=_setting(metadata, "emit-messages") is not False,
        tool_calls=_tool_names(_setting(metadata, "emit-tool-calls")),
        predictions=tuple(rule for key in _PREDICTION_KEYS for rule in parse_predictions(metadata.get(key))),
    )
    return EVERYTHING if policy == EVERYTHING else policy


def _setting(metadata: Mapping[str, Any], name: str) -> Any:
    prefixed = metadata.get(f"copilotkit:{name}")
    return metadata.get(name) if prefixed is None else prefixed


def _tool_names(setting: Any) -> bool | frozenset[str]:
    if isinstance(setting, str):
        return frozenset({setting})
    if isinstance(setting, (list, tuple, set, frozenset)):
        return frozenset(str(name) for name in setting)
    return setting is not False
