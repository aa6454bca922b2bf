"""The stores of the integration tests."""

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
