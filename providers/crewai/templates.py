"""Templates of crews: what users and clients send fills them as data. It is never a path, nor another template."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from importlib import import_module
from typing import Any

from .session import CURRENT

CHAT_MESSAGES = "crew_chat_messages"
"""An input that CrewAI parses, and appends to every task."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)}")
# CrewAI fills these in its prompts after it has filled a crew's own texts.
_PROMPT_PLACEHOLDER = re.compile(r"\{(?=(?:input|tools|tool_names|goal|role|backstory)})")
_WORD_JOINER = "\u2060"
_MARK = re.compile("\ue000(\\d+)\ue001")
_NOT_OF_FILE_NAMES = re.compile(r"[^\w.\-]+")
_FILE_NAME_CHARACTERS = 64

_TASK_TEXTS = ("description", "expected_output")
_AGENT_TEXTS = ("role", "goal", "backstory")


def placeholders(crew: Any) -> frozenset[str]:
    """Return the names of the placeholders in a crew's texts and output files."""
    return frozenset(name for text in _templates(crew) for name in _PLACEHOLDER.findall(text or ""))


def _templates(crew: Any) -> Iterator[str | None]:
    for task in crew.tasks:
        yield from (getattr(task, text) for text in (*_TASK_TEXTS, "output_file"))
    for agent in crew.agents:
        yield from (getattr(agent, text) for text in _AGENT_TEXTS)


def install_safe_templates() -> None:
    """Let crews fill their templates as ``fill`` does, in runs of ours: flows start crews too."""
    crew_class: Any = import_module("crewai").Crew
    original = crew_class._interpolate_inputs  # noqa: SLF001 - the one place that all ways to start a crew share
    if hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def interpolate(crew: Any, inputs: dict[str, Any]) -> None:
        if CURRENT.get() is None or not inputs:
            original(crew, inputs)
        else:
            fill(crew, inputs, original)

    crew_class._interpolate_inputs = interpolate  # noqa: SLF001 - as above


def fill(crew: Any, inputs: Mapping[str, Any], interpolate: Callable[[Any, dict[str, Any]], None]) -> None:
    """Fill a crew's templates in one pass: what a value holds is not looked into for placeholders.

    Args:
        crew: The crew.
        inputs: The values by placeholder.
        interpolate: CrewAI's own way, which replaces one placeholder after another, in what it has just filled in too.
    """
    values = [str(value) for value in inputs.values()]
    marks = {name: f"\ue000{index}\ue001" for index, name in enumerate(inputs)}
    if CHAT_MESSAGES in inputs:
        marks[CHAT_MESSAGES] = inputs[CHAT_MESSAGES]
    interpolate(crew, marks)
    for task in crew.tasks:
        _replace(task, _TASK_TEXTS, values, _as_text)
        _replace(task, ("output_file",), values, as_file_name)
    for agent in crew.agents:
        _replace(agent, _AGENT_TEXTS, values, _as_text)


def _replace(owner: Any, names: tuple[str, ...], values: list[str], write: Callable[[str], str]) -> None:
    for name in names:
        text = getattr(owner, name)
        if text and _MARK.search(text):
            setattr(owner, name, _MARK.sub(lambda mark: write(values[int(mark[1])]), text))


def _as_text(value: str) -> str:
    return _PROMPT_PLACEHOLDER.sub("{" + _WORD_JOINER, value)


def as_file_name(value: str) -> str:
    """Return ``value`` as part of a file's name: no separator, no hidden file, no parent folder, not too long."""
    name = re.sub(r"\.{2,}", ".", _NOT_OF_FILE_NAMES.sub("_", value))
    return name.strip("._-")[:_FILE_NAME_CHARACTERS].strip("._-") or "_"
