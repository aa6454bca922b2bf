"""The table of guests: published applications, their agents, and what each agent can be asked to do."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("guests.toml")

CAPABILITIES = ("start", "text", "memory", "tool", "state", "interrupt", "stop", "reload")


class TableError(ValueError):
    """An entry of the table cannot be read."""


@dataclass(frozen=True)
class Call:
    """A call that the vendor's model makes of one of the agent's own tools.

    Args:
        tool: The tool's name.
        arguments: Its arguments, as JSON.
        key: The key of the agent's state that shows what came of it.
        answer: What the person answers if the call leads to a question.
    """

    tool: str
    arguments: str
    key: str = ""
    answer: str = "Go ahead. <<say It is done.>>"

    @property
    def order(self) -> str:
        """The text of a user's message that has the scripted vendor make the call."""
        return f"<<call {self.tool} {self.arguments}>>"


@dataclass(frozen=True)
class Guest:
    """One published agent.

    Args:
        name: What the runtime calls it.
        path: Where its application serves it, if that is an AG-UI server.
        state: The call that changes its state; without one, it shows none.
        interrupt: The call that has it ask a question; without one, it asks none.
        lacks: What it cannot do by its authors' design: the reason, by capability.
        fails: What is known not to work: the reason, by capability.
    """

    name: str
    path: str = "/"
    state: Call | None = None
    interrupt: Call | None = None
    lacks: dict[str, str] = field(default_factory=dict)
    fails: dict[str, str] = field(default_factory=dict)

    def lacking(self, capability: str) -> bool:
        """Return whether the agent has nothing to show for a capability."""
        unscripted = {"state": self.state is None, "interrupt": self.interrupt is None}
        return capability in self.lacks or unscripted.get(capability, False)


@dataclass(frozen=True)
class Application:
    """A folder that one process serves: of a public repository, or, without one, of this repository.

    Args:
        name: What the printed table calls it.
        framework: What its agents are written with.
        repository: ``owner/name``, or nothing for an agent of ours with a framework of which we take packages alone.
        commit: The commit, in full.
        folder: Its folder in the repository.
        served: ``langgraph.json`` or ``file.py:name``, which the runtime serves; or, if ``agui``, the ASGI application
            ``module:name``, or the module ``name.mjs`` for Node, with the AG-UI endpoints, which the runtime stands in
            front of.
        agui: Whether it is an AG-UI server.
        requirements: The packages of its environment, with their versions.
        packages: The same from npm, for an application on Node.
        environment: Variables that it needs beyond the vendors' addresses and keys.
        guests: Its agents.
    """

    name: str
    framework: str
    repository: str
    commit: str
    folder: str
    served: str
    agui: bool
    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    environment: dict[str, str]
    guests: tuple[Guest, ...]


def read_table(file: Path = TABLE) -> list[Application]:
    """Return the applications of a table.

    Raises:
        TableError: An entry lacks a key, has an unknown one, or names an unknown capability.
    """
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["application"]
    return [_application(entry) for entry in entries]


def _application(entry: dict[str, Any]) -> Application:
    guests = tuple(_guest(guest) for guest in entry.pop("guest", ()))
    wanted: dict[str, Any] = {kind: tuple(entry.pop(kind, ())) for kind in ("requirements", "packages")}
    entry = {"repository": "", "commit": "", "environment": {}, "agui": False, **entry}
    try:
        return Application(guests=guests, **wanted, **entry)
    except TypeError as error:
        raise TableError(f"application {entry.get('name')!r}: {error}") from error


def _guest(entry: dict[str, Any]) -> Guest:
    for kind in ("lacks", "fails"):
        if unknown := entry.get(kind, {}).keys() - set(CAPABILITIES):
            raise TableError(f"guest {entry.get('name')!r}: {kind} names {', '.join(sorted(unknown))}")
    calls: dict[str, Any] = {kind: Call(**entry[kind]) for kind in ("state", "interrupt") if kind in entry}
    try:
        return Guest(**{**entry, **calls})
    except TypeError as error:
        raise TableError(f"guest {entry.get('name')!r}: {error}") from error
