"""What a URL of Redis says beside what redis-py reads in it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from ..errors import ConfigurationError


def is_cluster(url: str) -> bool:
    """Return whether a URL of Redis is that of a cluster: one with ``cluster=true``.

    Raises:
        ConfigurationError: ``cluster`` is neither true nor false.
    """
    given = parse_qs(urlsplit(url).query, keep_blank_values=True).get("cluster", ["false"])
    if given == ["false"]:
        return False
    if given != ["true"]:
        raise ConfigurationError("cluster= in the store's URL must be true or false.")
    return True
