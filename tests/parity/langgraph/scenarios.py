"""What a person does on a page with a LangGraph agent, turn by turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Say:
    """The user sends something."""

    text: str


@dataclass(frozen=True)
class Return:
    """The page's tool that was called last gives its result."""

    result: str


@dataclass(frozen=True)
class Respond:
    """The person answers the interrupt."""

    response: str


Turn = Say | Return | Respond


@dataclass(frozen=True)
class Scenario:
    """Turns on one thread with one agent of ``graphs.py``."""

    agent: str
    turns: tuple[Turn, ...]


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "text": Scenario("teller", (Say("Hello there"),)),
        "two-turns": Scenario("teller", (Say("Hello"), Say("And again"))),
        "tool-call": Scenario("painter", (Say("Paint it"), Return("red now"))),
        "tool-calls": Scenario("painter", (Say("Paint it"), Return("red now"), Say("Again"), Return("redder"))),
        "tool-call-behind-text": Scenario("painter", (Say("Paint it and talk"),)),
        "state": Scenario("researcher", (Say("Look it up"),)),
        "state-over-two-turns": Scenario("researcher", (Say("Look it up"), Say("And this"))),
        "interrupt": Scenario("asker", (Say("Go"), Respond("Ada"), Respond("red"))),
        "interrupt-answered-with-json": Scenario("asker", (Say("Go"), Respond("Ada"), Respond('{"colour": "red"}'))),
        "interrupt-ignored": Scenario("asker", (Say("Go"), Say("Never mind"))),
    }
)
