"""The single endpoint: a POST whose JSON names a method and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .refusals import JsonRefusal, invalid_request, not_found
from .routing import Target, find_resource

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "info": (),
    "agent/run": ("agentId",),
    "agent/connect": ("agentId",),
    "agent/stop": ("agentId", "threadId"),
    "agent/suggest": ("agentId",),
    "transcribe": (),
    "inspector/metadata": (),
    "inspector/learning": (),
    "resource/request": ("path", "httpMethod"),
}
OPERATIONS = {
    "info": "info",
    "agent/run": "run",
    "agent/connect": "connect",
    "agent/stop": "stop",
    "agent/suggest": "suggest",
    "transcribe": "transcribe",
    "inspector/metadata": "inspector_metadata",
    "inspector/learning": "inspector_learning",
}
_NEED_BODY = frozenset({"agent/run", "agent/connect", "agent/suggest", "transcribe"})


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What an envelope asks for. ``body`` is what REST has as its body: a JSON value, or the text of one."""

    target: Target
    body: Any
    query: str = ""


def read_envelope(data: Mapping[str, Any]) -> Envelope:
    """Read an envelope.

    Raises:
        JsonRefusal: Its method is unknown, or a parameter or the body is missing.
    """
    method = data.get("method")
    if not isinstance(method, str) or not method:
        raise invalid_request("Missing method field")
    wanted = _PARAMETERS.get(method)
    if wanted is None:
        raise invalid_request(f"Unsupported method '{method[:100]}'")
    parameters = {name: _parameter(data.get("params"), name) for name in wanted}
    body = data.get("body")
    if method in _NEED_BODY and body is None:
        raise invalid_request(f"Missing body for method '{method}'")
    if method == "resource/request":
        path = parameters["path"]
        return Envelope(target=_resource(parameters), body=body, query=path.partition("?")[2])
    names = {"agent": parameters.get("agentId", ""), "thread": parameters.get("threadId", "")}
    return Envelope(target=Target(OPERATIONS[method], names), body=body)


def _resource(parameters: Mapping[str, str]) -> Target:
    try:
        return find_resource(parameters["httpMethod"].upper(), parameters["path"])
    except JsonRefusal as refusal:
        if refusal.status == 405:
            raise
        raise not_found() from refusal


def _parameter(params: Any, name: str) -> str:
    value = params.get(name) if isinstance(params, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise invalid_request(f"Missing or invalid parameter '{name}'")
    return value
