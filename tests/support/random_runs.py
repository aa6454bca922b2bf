"""Runs of a provider that yields anything: every kind of event, valid or not at its place, from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, get_args

from copilotkit_runtime.runtime import events

KINDS: tuple[type[events.BaseEvent], ...] = get_args(events.Event)
THREAD = [
    {"id": "u", "role": "user", "content": "hi"},
    {"id": "u2", "role": "user", "content": [{"type": "text", "text": "look"}, {"type": "binary", "mimeType": "a/b"}]},
    {"id": "a", "role": "assistant", "content": None, "toolCalls": None},
    {"id": "b", "role": "assistant", "content": "text", "name": None},
    {
        "id": "c",
        "role": "assistant",
        "toolCalls": [{"id": "k", "type": "function", "function": {"name": "f", "arguments": None}}],
    },
    {"id": "t", "role": "tool", "toolCallId": "k", "content": [{"type": "text", "text": "ok"}]},
    {"id": "x", "role": "activity", "activityType": "plan", "content": {}},
    {"id": None, "role": "reasoning", "content": "hm"},
]
_VALUES: list[Any] = [
    None,
    True,
    0,
    1.5,
    "text",
    "",
    [],
    {},
    {"n": 1, "messages": [None]},
    {"id": "i", "reason": "tool_call"},
]
_PATCHES = [
    [],
    [{"op": "add", "path": "/n", "value": 1}],
    [{"op": "replace", "path": "/messages/0", "value": 1}],
    [{"op": "remove", "path": "/nowhere"}],
]
_NAMES = [
    events.INTERRUPT,
    events.COPILOTKIT_INTERRUPT,
    events.PREDICT_STATE,
    events.EXIT,
    events.EXTENSIONS,
    events.AGENT_ENTERED,
    events.AGENT_LEFT,
    "own",
]
_FIELDS: dict[str, Sequence[Any]] = {
    "delta": ["", "text", "naïve 🙂", '{"a":', "\ud83d"],
    "snapshot": _VALUES,
    "messages": [[], THREAD, THREAD[:2], [*reversed(THREAD)], [None, 1, {}]],
    "content": ["ok", "", '{"a":1}'],
    "name": _NAMES,
    "value": _VALUES,
    "event": _VALUES,
    "result": _VALUES,
    "patch": _PATCHES,
    "details": [None, {"code": "X"}],
    "code": [None, "X"],
    "subtype": ["message", "tool-call"],
    "role": ["assistant", "user", "developer", "narrator"],
    "message_id": ["a", "b", "c"],
    "parent_message_id": [None, "a", "b"],
    "replace": [True, False],
    "model": [None, "m"],
}
_SPECIAL: dict[type[events.BaseEvent], dict[str, Sequence[Any]]] = {
    events.StateDelta: {"delta": _PATCHES},
    events.ActivitySnapshot: {"content": [{}, {"a": [1]}]},
    events.TextMessageStart: {"name": [None, "Ada"]},
    events.ToolCallResult: {"message_id": [None, "r1", "r2"], "tool_call_name": [None, "f"]},
    events.RunUsage: {name: [0, 5] for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")},
}


def random_run(seed: int, length: int = 40) -> list[events.Event]:
    """A run; the same for the same seed. Its end, if it has one, is its last event."""
    random = Random(seed)
    kinds = [kind for kind in KINDS if kind not in events.TERMINAL]
    middle = [_event(random.choice, random.choice(kinds)) for _ in range(random.randrange(length))]
    return middle + [_event(random.choice, kind) for kind in random.choice([[], *([end] for end in events.TERMINAL)])]


def _event(choose: Callable[[Sequence[Any]], Any], kind: type[events.BaseEvent]) -> Any:
    choices = {**_FIELDS, **_SPECIAL.get(kind, {})}
    return kind(**{name: choose(choices.get(name, ("a", "b", "c"))) for name in kind.__struct_fields__})
