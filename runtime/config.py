"""The settings of one runtime."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

EMULATED_VERSION = "1.10.6"


class RuntimeConfig(BaseSettings):
    """What can be set, each also by an environment variable ``COPILOTKIT_<NAME>``.

    Raises:
        pydantic.ValidationError: A value does not fit, or a keyword argument is not a setting.
    """

    model_config = SettingsConfigDict(env_prefix="COPILOTKIT_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    graphql_path: Annotated[str, Field(pattern=r"^/")] = "/api/copilotkit"
    store: str = "memory://"
    cors_origins: tuple[str, ...] = ("*",)
    """Origins that may call. ``*`` admits all without credentials; a named origin may send them."""
    forward_headers: tuple[str, ...] = ("x-*",)
    """Patterns of the request headers that providers see. Cookies and cloud keys are never among them."""
    run_timeout_seconds: Annotated[float, Field(gt=0)] = 600.0
    on_disconnect: Literal["cancel", "continue"] = "cancel"
    """What becomes of a run whose client has gone."""
    max_body_bytes: Annotated[int, Field(gt=0)] = 25 * 1024 * 1024
    graphiql: bool = True
    introspection: bool = True
