"""Errors that a person can correct end a command with their text, without a stack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from ...runtime.errors import CopilotKitError
from .options import faults, is_of_settings
from .target import TargetError


@contextmanager
def exit_with_message(status: int | None = None) -> Iterator[None]:
    """End the process with a message when the block fails in a way that a person can correct.

    Args:
        status: What to end with; None for 2, or 1 if the fault is in a target's own code.
    """
    try:
        yield
    except ValidationError as error:
        if not is_of_settings(error):
            raise
        _end(status or 2, *faults(error))
    except (CopilotKitError, TargetError) as error:
        _end(status or (1 if isinstance(error, TargetError) else 2), target_failure(error))


def target_failure(error: CopilotKitError | TargetError) -> str:
    """Return the message of what failed; print the stack to standard error if it is a target's own code."""
    if isinstance(error, CopilotKitError):
        return error.message.partition("See more: [")[0].rstrip()  # the link is written for clients, which render it
    typer.echo(error.stack, err=True, nl=False)
    return str(error)


def _end(status: int, *lines: str) -> None:
    for line in lines:
        typer.echo(f"copilotkit-runtime: {line}", err=True)
    sys.exit(status)
