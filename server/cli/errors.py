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
    except CopilotKitError as error:
        _end(status or 2, error.message)
    except TargetError as error:
        typer.echo(error.stack, err=True, nl=False)
        _end(status or 1, str(error))


def _end(status: int, *lines: str) -> None:
    for line in lines:
        typer.echo(f"copilotkit-runtime: {line}", err=True)
    sys.exit(status)
