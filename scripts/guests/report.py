"""The table that is printed: agent by capability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.guests.table import CAPABILITIES, Application, Guest

OK = "ok"
NOT_APPLICABLE = "n.a."
FAILED = "failed"
KNOWN = "known"


@dataclass(frozen=True)
class Outcome:
    """What came of one capability of one guest.

    Args:
        application: The guest's application.
        guest: The guest.
        capability: The capability.
        faults: Why it failed, by wire; empty if it works.
    """

    application: Application
    guest: Guest
    capability: str
    faults: dict[str, str]

    @property
    def word(self) -> str:
        """What the table shows."""
        if self.guest.lacking(self.capability):
            return NOT_APPLICABLE
        if not self.faults:
            return OK
        return KNOWN if self.capability in self.guest.fails else FAILED

    @property
    def wrong(self) -> bool:
        """Whether it fails although it works by the table."""
        return self.word == FAILED

    @property
    def mended(self) -> bool:
        """Whether it works although it fails by the table."""
        return self.word == OK and self.capability in self.guest.fails


def lines_of(outcomes: list[Outcome]) -> Iterator[str]:
    """Yield the table, the reasons below it, and a last line that counts."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for one in outcomes:
        row = (one.application.framework, one.application.name, one.guest.name)
        rows.setdefault(row, {})[one.capability] = one.word
    yield f"| framework | application | agent | {' | '.join(CAPABILITIES)} |"
    yield f"|---|---|---|{'---|' * len(CAPABILITIES)}"
    for row, words in rows.items():
        yield f"| {' | '.join((*row, *(words.get(capability, '') for capability in CAPABILITIES)))} |"
    yield ""
    yield from _reasons(outcomes)
    wrong = sum(one.wrong for one in outcomes)
    yield f"{len(rows)} agents, {sum(one.word == OK for one in outcomes)} capabilities work, {wrong} fail unexpectedly"


def _reasons(outcomes: list[Outcome]) -> Iterator[str]:
    for one in outcomes:
        place = f"{one.application.name}/{one.guest.name} {one.capability}"
        if one.mended:
            yield f"{place}: works, although by the table: {one.guest.fails[one.capability]}"
        elif one.word == KNOWN:
            yield f"{place}: known ({', '.join(one.faults)}): {one.guest.fails[one.capability]}"
        elif one.word == FAILED:
            yield from (f"{place}: failed ({wire}): {reason}" for wire, reason in one.faults.items())
