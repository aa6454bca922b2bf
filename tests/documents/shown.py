"""What a guide shows under a command, and whether a command printed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.documents.blocks import BLOCKS, Block

LOCAL = "http://127.0.0.1:8000"
"""Where the guides' servers are."""


@dataclass(frozen=True)
class Session:
    """A command that serves, and those that the reader gives while it does.

    Args:
        server: The command that serves.
        commands: The others, in their order.
    """

    server: Block
    commands: list[Block]


def asks(block: Block) -> bool:
    """Whether it is a command for a server that runs already."""
    return block.language == "bash" and not block.serves and LOCAL in block.text


def sessions() -> Iterator[Session]:
    """Every command of the guides that serves, with those for it: up to the next that serves, in the same guide."""
    for index, block in enumerate(BLOCKS):
        if block.serves:
            until = (at for at, later in enumerate(BLOCKS[index + 1 :]) if _ends(block, later))
            later = BLOCKS[index + 1 :][: next(until, None)]
            commands = [each for each in later if asks(each)]
            if commands or output_of(block) is not None:
                yield Session(block, commands)


def _ends(block: Block, later: Block) -> bool:
    return later.document != block.document or later.serves


def output_of(block: Block) -> str | None:
    """What the guide shows right below a command as what it prints."""
    lines = block.document.read_text(encoding="utf-8").splitlines()
    end = block.line + block.text.count("\n") + 1
    following = next((each for each in BLOCKS if each.document == block.document and each.line > block.line), None)
    if following is None or following.language != "text" or any(lines[end : following.line - 1]):
        return None
    return following.text


def pattern_of(shown: str) -> re.Pattern[str]:
    """What fits a shown output: ``…`` is anything in a line, and alone on a line any lines."""
    lines = [
        r"(?:[^\n]*\n)*?" if line == "…" else re.escape(line).replace("…", r"[^\n]*") + r"\n"
        for line in shown.splitlines()
    ]
    return re.compile("".join(lines))


def fits(printed: str, shown: str) -> bool:
    """Whether a command printed what its guide shows."""
    return pattern_of(shown).fullmatch(f"{printed.rstrip()}\n") is not None
