"""Optional dependencies: a failed import becomes the error that names the extra to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from .errors import MissingExtraError


@contextmanager
def optional(feature: str, extra: str, *, package: str | None = None) -> Iterator[None]:
    """Report a failed import in the block as an extra that is missing, or that does not fit.

    Args:
        feature: What needs the imports, as a sentence begins with it.
        extra: The extra of this distribution that brings them.
        package: A package that must be there although the block does not import it yet.

    Raises:
        MissingExtraError: An import failed, or ``package`` is not installed.
    """
    if package is not None and not _is_installed(package):
        raise MissingExtraError(feature, extra)
    try:
        yield
    except ImportError as error:
        broken = error.name if error.name and _is_installed(error.name) else None
        raise MissingExtraError(feature, extra, broken=broken) from error


def _is_installed(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None
