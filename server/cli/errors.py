"""What a person can mend is told in words, without a stack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from ...runtime.errors import CopilotKitError
from .options import faults
from .target import TargetError


@contextmanager
def exit_with_message(status: int | None = None) -> Iterator[None]:
    """Ends the process when the block fails in a way that is known, having said why.

    Args:
        status: What to end with; None for 2, or 1 if the fault is in a target's own code.
    """
    try:
        yield
    except ValidationError as error:
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
