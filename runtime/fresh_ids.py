"""Fresh ids. Each request makes several, and an object of ``uuid.UUID`` for each costs more than the id itself."""

from __future__ import annotations

from os import urandom

_VARIANT = "89ab"


def fresh_uuid() -> str:
    """Return a random UUID (version 4) as text."""
    digits = urandom(16).hex()
    variant = _VARIANT[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def fresh_hex() -> str:
    """Return 32 random hexadecimal digits."""
    return urandom(16).hex()
