"""The command line in the test's own process, which costs no start of another."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from copilotkit_runtime.server.cli.commands import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, typed: str = ""
) -> Ended:
    """Run a command to its end.

    Args:
        monkeypatch: Gives it its arguments and its input.
        capsys: Takes what it prints.
        arguments: The command and its arguments.
        typed: What standard input has.
    """
    monkeypatch.setattr(sys, "argv", ["copilotkit-runtime", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, *capsys.readouterr())
