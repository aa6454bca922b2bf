"""Instructions, for vendors that take them once, apart from the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile, takewhile

from .conversation import TextTurn, Turn

LATER_SYSTEM = "THE FOLLOWING MESSAGE IS A SYSTEM MESSAGE: "


def parted(turns: Sequence[Turn]) -> tuple[str, list[Turn]]:
    """Return the leading system and developer texts as one, and the rest of the conversation.

    In the rest, a later system text is the user's, under the heading that the TypeScript runtime gives it. Where only
    system texts were sent, as ``CopilotTask`` does, they are the user's: no vendor of this kind answers a conversation
    without a user.
    """
    leading = "\n\n".join(turn.text for turn in takewhile(_instructs, turns) if isinstance(turn, TextTurn))
    rest = [_as_user(turn) for turn in dropwhile(_instructs, turns)]
    return (leading, rest) if rest else ("", [TextTurn(role="user", text=leading)])


def _instructs(turn: Turn) -> bool:
    return isinstance(turn, TextTurn) and turn.role in ("system", "developer")


def _as_user(turn: Turn) -> Turn:
    if isinstance(turn, TextTurn) and _instructs(turn):
        return TextTurn(role="user", text=f"{LATER_SYSTEM}{turn.text}")
    return turn
