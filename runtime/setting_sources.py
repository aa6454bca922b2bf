"""Sources of settings: the layers of a command line, the settings file and the environment."""

from __future__ import annotations

import codecs
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec
from pydantic_settings import (
    EnvSettingsSource,
)
from typing_extensions import override

from .errors import ConfigurationError
from .setting_types import Filled

ENVIRONMENT_PREFIX = "COPILOTKIT_"
CONFIG_FILE_VARIABLE = "COPILOTKIT_CONFIG"

# Variables of that prefix that other software reads: the TypeScript runtime's, and this project's own tests'.
_FOREIGN_VARIABLES = ("COPILOTKIT_TELEMETRY_", "COPILOTKIT_E2E_", "COPILOTKIT_TEST_", CONFIG_FILE_VARIABLE)


class SettingLayers(msgspec.Struct, frozen=True):
    """What a command line adds to the places of settings: its flags first, its own defaults last."""

    flags: dict[str, Any] = {}
    file: Path | None = None
    defaults: dict[str, Any] = {}


_layers: ContextVar[SettingLayers] = ContextVar("setting_layers", default=SettingLayers())  # noqa: B039 - it is frozen


def current_layers() -> SettingLayers:
    """Return what the command line adds in this context."""
    return _layers.get()


@contextmanager
def setting_layers(layers: SettingLayers) -> Iterator[None]:
    """Apply ``layers`` to every ``RuntimeConfig`` that is made in the block."""
    token = _layers.set(layers)
    try:
        yield
    finally:
        _layers.reset(token)


class CheckedEnvironment(EnvSettingsSource):
    """Reports variables that name no setting, which the library's own source ignores."""

    @override
    def __call__(self) -> dict[str, Any]:
        known = {ENVIRONMENT_PREFIX + name.upper() for name in self.settings_cls.model_fields}
        unknown = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(ENVIRONMENT_PREFIX) and name not in known and not name.startswith(_FOREIGN_VARIABLES)
        }
        return {**super().__call__(), **self._empty_authentication(), **unknown}

    def _empty_authentication(self) -> dict[str, str]:
        """Return the variables of authentication that are set and empty, which the library's source takes for unset."""
        empty = {name.upper() for name, value in os.environ.items() if not value.strip()}
        fields = self.settings_cls.model_fields.items()
        return {name: "" for name, field in fields if Filled in field.metadata and self._variable(name) in empty}

    def _variable(self, name: str) -> str:
        return ENVIRONMENT_PREFIX + name.upper()


_MARKS = {codecs.BOM_UTF8: "UTF-8", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def file_of_environment() -> Path | None:
    """Return the settings file that the environment names, if it names one."""
    name = os.environ.get(CONFIG_FILE_VARIABLE)
    return Path(name) if name else None


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read the settings in a TOML file.

    Raises:
        ConfigurationError: It cannot be read, or is not TOML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    if encoding := next((name for mark, name in _MARKS.items() if content.startswith(mark)), None):
        raise ConfigurationError(
            f"The settings file {path} begins with a byte order mark (BOM) of {encoding}: save it as UTF-8 without BOM."
        )
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:
        raise ConfigurationError(f"The settings file {path} is not valid TOML: {error}.") from error
