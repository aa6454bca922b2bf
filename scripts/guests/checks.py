"""What is asked of a guest, capability by capability, over one wire. Each check has a thread of its own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from uuid import uuid4

from scripts.guests.conversation import TOOL, Conversation, Turn
from scripts.guests.table import Call, Guest

Open = Callable[[], Conversation]
Check = Callable[[Guest, Open], Awaitable[None]]

SENTENCE = "Every word of this came from the vendor, one after the other, and none came twice."


class CheckError(Exception):
    """A guest did not do what was asked; the text is the reason."""


async def speak(_guest: Guest, opened: Open) -> None:
    """Check that text arrives once, whole and in pieces.

    Raises:
        CheckError: It does not.
    """
    turn = _well(await opened().say(f"<<say {SENTENCE}>>"))
    _require("".join(turn.texts).count(SENTENCE) == 1, f"shows {turn.texts}")
    _require(turn.pieces > 1, "the text comes in one piece")


async def remember(_guest: Guest, opened: Open) -> None:
    """Check that the second turn knows the first.

    Raises:
        CheckError: It does not.
    """
    word, conversation = f"w{uuid4().hex}", opened()
    _well(await conversation.say(f"My word is {word}. <<say Noted.>>"))
    turn = _well(await conversation.say("What is my word? <<recall>>"))
    _require(turn.says(word), f"shows {turn.texts}")


async def use_frontend_tool(_guest: Guest, opened: Open) -> None:
    """Check that the client's tool is called, and its result reaches the model, on two turns of a thread.

    Raises:
        CheckError: It does not.
    """
    conversation = opened()
    for colour in ("teal", "navy"):
        arguments = {"background": colour}
        turn = _well(await conversation.say(f"Paint it {colour}. <<call {TOOL} {json.dumps(arguments)}>>"))
        _require((TOOL, arguments) in turn.calls, f"calls {turn.calls}, shows {turn.texts}")
        turn = _well(await conversation.give_result(f"Painted {colour}"))
        _require(turn.says(f"Painted {colour}"), f"after the result shows {turn.texts}, calls {turn.calls}")


async def show_state(guest: Guest, opened: Open) -> None:
    """Check that the agent's state is shown, and kept for the next turn.

    Raises:
        CheckError: It does not.
    """
    call, conversation = _scripted(guest.state), opened()
    turn = _well(await conversation.say(call.order))
    _require(bool(turn.state.get(call.key)), f"state {_short(turn.state)}, calls {turn.calls}, shows {turn.texts}")
    turn = _well(await conversation.say("<<say And on.>>"))
    _require(call.key in turn.state, f"the next turn's state is {_short(turn.state)}")


async def ask_and_go_on(guest: Guest, opened: Open) -> None:
    """Check that the agent asks, that the answer continues it, and that the thread goes on.

    Raises:
        CheckError: It does not.
    """
    call, conversation = _scripted(guest.interrupt), opened()
    turn = _well(await conversation.say(call.order))
    _require(bool(turn.asked), f"does not ask, shows {turn.texts}, calls {turn.calls}")
    turn = _well(await conversation.answer(call.answer))
    _require(not turn.asked and bool(turn.texts), f"after the answer asks {turn.asked}, shows {turn.texts}")
    turn = _well(await conversation.say("<<say And on.>>"))
    _require(turn.says("And on."), f"after the question shows {turn.texts}")


async def stop(_guest: Guest, opened: Open) -> None:
    """Check that the stop button ends the run, and the thread goes on.

    Raises:
        CheckError: It does not.
    """
    conversation = opened()
    await conversation.stop_midway("<<go on>>")
    turn = _well(await conversation.say("<<say Here I am.>>"))
    _require(turn.says("Here I am."), f"after the stop shows {turn.texts}")


async def show_history(_guest: Guest, opened: Open) -> None:
    """Check that a fresh client sees the thread.

    Raises:
        CheckError: It does not.
    """
    conversation = opened()
    asked = f"Remember me. <<say {SENTENCE}>>"
    _well(await conversation.say(asked))
    texts = await conversation.reload()
    _require(texts == [asked, SENTENCE], f"after a reload shows {texts}")


CHECKS: dict[str, Check] = {
    "text": speak,
    "memory": remember,
    "tool": use_frontend_tool,
    "state": show_state,
    "interrupt": ask_and_go_on,
    "stop": stop,
    "reload": show_history,
}


def _well(turn: Turn) -> Turn:
    _require(turn.fault is None, f"error: {turn.fault}")
    return turn


def _scripted(call: Call | None) -> Call:
    if call is None:
        raise CheckError("the table scripts no call")
    return call


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckError(otherwise)


def _short(value: object) -> str:
    return json.dumps(value)[:200]
