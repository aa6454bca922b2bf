"""What a value is, in words for a person who passed the wrong one."""

from __future__ import annotations

import inspect


def described(value: object) -> str:
    """Return what ``value`` is: ``an int``, ``the class Crew``, ``None``; never what it holds."""
    if value is None:
        return "None"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
