"""Servers of both kinds, as the tests of stores have them."""

from __future__ import annotations

from tests.integration.stores.conftest import (
    fragile_servers,
    postgres_url,
    redis_url,
    server,
    server_folder,
    settings,
    url,
)

__all__ = ["fragile_servers", "postgres_url", "redis_url", "server", "server_folder", "settings", "url"]
