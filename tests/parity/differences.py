"""Where this runtime ends a scenario otherwise than the TypeScript runtime, on purpose, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from copilotkit_runtime.runtime.error_texts import helpful_message
from copilotkit_runtime.runtime.errors import DEFAULT_MESSAGE, AgentNotFoundError, NetworkError

ABSENT = object()

_DETAILS = "status.details"
_ORIGINAL = f"{_DETAILS}.originalError"
_SUCCESS = {"code": "Success", "__typename": "SuccessResponseStatus"}
_MESSAGE_SUCCESS = {"code": "Success", "__typename": "SuccessMessageStatus"}
_UNREACHABLE = NetworkError(helpful_message(ConnectionRefusedError()), original_type="ScriptedError")


@dataclass(frozen=True)
class Difference:
    """Scenarios that end otherwise: ``ours`` maps a place in the recorded end to what is there instead."""

    scenarios: str
    reason: str
    ours: dict[str, Any]


def _greeting(call_id: str, name: str) -> dict[str, Any]:
    return {
        "__typename": "ResultMessageOutput",
        "id": f"result-{call_id}",
        "result": f"hello {name}",
        "actionExecutionId": call_id,
        "actionName": "srvHello",
        "status": _MESSAGE_SUCCESS,
    }


DIFFERENCES = (
    Difference(
        "message-id-used-again.*",
        "a second message with the id of one that has ended is a message of its own: clients would merge the two",
        {"messages.1.id": "m-1-2"},
    ),
    Difference(
        "error-*",
        "the original exception, its message and its stack trace are logged and not sent",
        {f"{_ORIGINAL}.extensions.originalError": ABSENT},
    ),
    Difference(
        "error-[!e]*",
        "masked errors still report the exception class, as the contract does for vendors' errors",
        {f"{_ORIGINAL}.originalErrorType": "ScriptedError"},
    ),
    Difference(
        "error-event.agent",
        "the code that an agent gives its error reaches the client",
        {f"{_ORIGINAL}.extensions.agentCode": "CREDIT"},
    ),
    Difference(
        "error-[!eo]*.agent",
        "the raw message of an agent's exception is masked, as a model's is",
        {f"{_DETAILS}.description": DEFAULT_MESSAGE},
    ),
    Difference(
        "error-of-the-network.agent",
        "network errors are reported as such for agents and models alike",
        {f"{_DETAILS}.description": _UNREACHABLE.message, _ORIGINAL: _UNREACHABLE.details},
    ),
    Difference(
        "error-[!e]*",
        "masked errors contain the correlation id of the log",
        {f"{_ORIGINAL}.extensions.correlationId": "<id 1>"},
    ),
    Difference(
        "state-delta-that-does-not-apply.*",
        "the text of the library that applies state deltas is not sent to the client",
        {
            f"{_DETAILS}.description": "The agent sent a state delta that does not fit its state.",
            f"{_ORIGINAL}.extensions.originalError": ABSENT,
        },
    ),
    Difference(
        "server-action-unparsable-arguments.*",
        "a response with malformed tool arguments ends",
        {"status": _SUCCESS},
    ),
    Difference(
        "server-actions-interleaved.*",
        "interleaved calls keep their own arguments",
        {
            "status": _SUCCESS,
            "messages.1.status": _MESSAGE_SUCCESS,
            "messages.2": _greeting("call-1", "Bo"),
            "messages.3": _greeting("call-2", "Al"),
        },
    ),
    Difference(
        "message-with-a-parent.agent",
        "an agent's text keeps its parent, as a model's does",
        {"messages.0.parentMessageId": "p-1"},
    ),
    Difference(
        "state-that-is-no-object.*",
        "a state that is not an object is ignored, also at its end",
        {"messages.0.state": {}, "messages.0.active": True},
    ),
    Difference(
        "state-predicted-twice.*",
        "all keys that a call predicts are predicted, not only the first",
        {"messages.0.state.body": "B2"},
    ),
    Difference(
        "message-left-open.agent",
        "the runtime closes what an agent leaves open",
        {"status": _SUCCESS, "messages.0.status": _MESSAGE_SUCCESS},
    ),
    Difference(
        "agent-that-is-not-there.*",
        "the shared agent table is not overwritten, so an unknown agent is reported as such",
        {"errors.0.message": AgentNotFoundError("nobody", ["scripted"]).message},
    ),
)


def expected(scenario_id: str, recorded: Any, differences: Iterable[Difference] = DIFFERENCES) -> Any:
    """The end that this runtime is to show where the TypeScript runtime showed ``recorded``."""
    for difference in differences:
        if fnmatchcase(scenario_id, difference.scenarios):
            for place, value in difference.ours.items():
                _put(recorded, place.split("."), value)
    return recorded


def _put(target: Any, place: list[str], value: Any) -> None:
    *parents, last = (int(key) if key.isdigit() else key for key in place)
    for key in parents:
        target = target[key]
    if value is ABSENT:
        del target[last]
    elif isinstance(target, list) and last == len(target):
        target.append(value)
    else:
        target[last] = value
