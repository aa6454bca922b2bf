"""Upgrades of variables that older clients send."""

from __future__ import annotations

from typing import Any

import msgspec

from ...runtime.json_text import decode_json


def upgrade_variables(variables: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return variables of clients 1.6.0 to 1.8.7, in the form of the contract of 1.10.6.

    They send a graph's ``configurable`` beside an agent's state; the contract has it inside ``config``.
    """
    data = variables.get("data") if isinstance(variables, dict) else None
    states = data.get("agentStates") if isinstance(data, dict) else None
    if not isinstance(states, list) or not any(isinstance(s, dict) and "configurable" in s for s in states):
        return variables
    return {**variables, "data": {**data, "agentStates": [_moved(state) for state in states]}}  # type: ignore[dict-item]


def _moved(state: Any) -> Any:
    if not isinstance(state, dict) or "configurable" not in state:
        return state
    rest = {key: value for key, value in state.items() if key != "configurable"}
    configurable = _object(state["configurable"])
    if not configurable:
        return rest
    return {
        **rest,
        "config": msgspec.json.encode({**_object(rest.get("config")), "configurable": configurable}).decode(),
    }


def _object(text: Any) -> dict[str, Any]:
    try:
        value = decode_json(text) if isinstance(text, str) else None
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}
