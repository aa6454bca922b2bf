"""Prompts: a run's input, read once, in no vendor's form."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ...runtime.call_ids import CallIds
from ...runtime.context import ForwardedParameters, RunInput, Tool
from ...runtime.errors import ConfigurationError
from ..message_assembler import MessageAssembler
from .call_details import CallDetails
from .conversation import Turn, turns
from .window import fit

ChoiceMode: TypeAlias = Literal["auto", "none", "required", "function"]

_MODES: dict[str, ChoiceMode] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
    "function": "function",
}


class ToolChoice(msgspec.Struct, kw_only=True, frozen=True):
    """Whether the model may, must, or must not call a tool; ``name`` is the one it must call in mode ``function``."""

    mode: ChoiceMode
    name: str = ""


class Prompt(msgspec.Struct, kw_only=True, frozen=True):
    """A conversation to go on with, the tools at hand, and the settings that the client chose.

    ``choice`` is None when the client did not choose, or when there are no tools to choose from. ``ids`` are those in
    use on the thread, ``details`` what vendors want back with calls.
    """

    turns: list[Turn]
    tools: list[Tool] = []
    settings: ForwardedParameters = ForwardedParameters()
    choice: ToolChoice | None = None
    ids: CallIds = msgspec.field(default_factory=CallIds)
    details: CallDetails = msgspec.field(default_factory=CallDetails)

    def assembler(self) -> MessageAssembler:
        """Return what the answer is to be written with."""
        return MessageAssembler(ids=self.ids, tools=[tool.name for tool in self.tools])

    def within(self, limit: int) -> Prompt:
        """Return the same, with as much history as fits into ``limit`` tokens (``window.fit``)."""
        return msgspec.structs.replace(self, turns=fit(self.turns, self.tools, limit))


def prompt_of(run: RunInput, details: CallDetails | None = None) -> Prompt:
    """Return what ``run`` sends to a model.

    Args:
        run: The run.
        details: What vendors want back with the calls of the thread.

    Raises:
        ConfigurationError: The forwarded tool choice is none of the contract's.
    """
    choice = _choice_of(run.forwarded) if run.tools else None
    return Prompt(
        turns=turns(run.messages),
        tools=run.tools,
        settings=run.forwarded,
        choice=choice,
        ids=CallIds.of(run.messages),
        details=details or CallDetails(),
    )


def _choice_of(forwarded: ForwardedParameters) -> ToolChoice | None:
    choice = forwarded.tool_choice
    if not choice:
        return None
    mode = _MODES.get(choice)
    if mode is None:
        raise ConfigurationError(f"Unknown tool choice {choice!r}: use auto, none, required, or function with a name.")
    if mode == "function" and not forwarded.tool_choice_function_name:
        raise ConfigurationError("The tool choice 'function' needs a toolChoiceFunctionName.")
    return ToolChoice(mode=mode, name=forwarded.tool_choice_function_name or "")
