"""The command line in the test's own process, which costs no start of another."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from tempfile import TemporaryFile

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
    with TemporaryFile("w+") as file:
        file.write(typed)
        file.seek(0)
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, *capsys.readouterr())
