"""What an agent's author lets the page see of one model call.

The keys are those of the SDK's ``copilotkit_customize_config`` and of its state streaming middleware; they
travel in the call's metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct


class Prediction(Struct, frozen=True):
    """A state key that shows a tool call's argument while it streams; all of them if ``argument`` is None."""

    state_key: str
    tool: str
    argument: str | None = None


class EmitPolicy(Struct, frozen=True):
    """Whether a call's text shows, which of its tool calls do, and what they predict."""

    messages: bool = True
    tool_calls: bool | frozenset[str] = True
    predictions: tuple[Prediction, ...] = ()

    def shows_tool(self, name: str) -> bool:
        """Whether a call of this tool is shown."""
        return name in self.tool_calls if isinstance(self.tool_calls, frozenset) else self.tool_calls

    def predicted_by(self, tool: str) -> tuple[Prediction, ...]:
        """What a call of this tool predicts."""
        return tuple(prediction for prediction in self.predictions if prediction.tool == tool)


EVERYTHING = EmitPolicy()
NOTHING = EmitPolicy(messages=False, tool_calls=False)


def policy_of(metadata: Mapping[str, Any]) -> EmitPolicy:
    """Return the policy in a model call's metadata. Calls that LangChain's middleware makes for itself show nothing."""
    if metadata.get("lc_internal_call") or metadata.get("lc_source"):
        return NOTHING
    policy = EmitPolicy(
        messages=_setting(metadata, "emit-messages") is not False,
        tool_calls=_tool_names(_setting(metadata, "emit-tool-calls")),
        predictions=tuple(_predictions(metadata)),
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


def _predictions(metadata: Mapping[str, Any]) -> Iterable[Prediction]:
    for key in ("copilotkit:emit-intermediate-state", "predict_state"):
        rules = metadata.get(key)
        for rule in rules if isinstance(rules, (list, tuple)) else ():
            if isinstance(rule, Mapping) and "state_key" in rule and "tool" in rule:
                yield Prediction(str(rule["state_key"]), str(rule["tool"]), rule.get("tool_argument"))
