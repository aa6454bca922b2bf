"""Settings on the command line: flags in, faults and the effective values out."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import SecretStr, ValidationError

from ...runtime.config import RuntimeConfig
from ...runtime.rates import Rate
from ...runtime.redaction import HIDDEN, without_secrets
from ...runtime.setting_sources import ENVIRONMENT_PREFIX, SettingLayers, read_settings_file

DEFAULT_STORE = "sqlite:///copilotkit.sqlite"
"""Where the command line keeps states by default: on disk, so that they outlive the process."""


def layers(file: Path | None, **flags: Any) -> SettingLayers:
    """Return the layers that flags make; those that were not given are None.

    Raises:
        ConfigurationError: The settings file cannot be read.
    """
    if file is not None:
        read_settings_file(file)
    given = {name: value for name, value in flags.items() if value is not None}
    return SettingLayers(flags=given, file=file, defaults={"store": DEFAULT_STORE, "env": "development"})


def is_of_settings(error: ValidationError) -> bool:
    """Return whether settings failed to validate, and not a model of somebody else's."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(isinstance(value, RuntimeConfig) for frame in frames for value in _receivers(frame))


def _receivers(frame: FrameType) -> Iterator[object]:
    # pydantic-settings and pydantic name the first parameter of their constructors differently.
    return (frame.f_locals.get(name) for name in frame.f_code.co_varnames[:1])


def faults(error: ValidationError) -> Iterator[str]:
    """Yield what is wrong with settings, a line each."""
    for fault in error.errors(include_url=False, include_input=False):
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            yield f"{name}: unknown setting.{_suggestion(name)}"
        else:
            text = fault["msg"].removeprefix("Value error, ")
            yield f"{name}{_variable(name)}: {text}" if name else text


def _suggestion(name: str) -> str:
    of_environment = name.startswith(ENVIRONMENT_PREFIX)
    known = [ENVIRONMENT_PREFIX + known.upper() if of_environment else known for known in RuntimeConfig.model_fields]
    close = get_close_matches(name.upper() if of_environment else name.lower(), known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _variable(name: str) -> str:
    variable = ENVIRONMENT_PREFIX + name.upper()
    return f" ({variable})" if variable in os.environ else ""


def effective(config: RuntimeConfig) -> Iterator[str]:
    """Return all settings as lines of TOML, secrets hidden; those without a value as comments."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        yield f"# {name} is not set" if value is None else f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, SecretStr):
        return json.dumps(HIDDEN)
    text = str(value) if isinstance(value, Rate | Path) else value
    return json.dumps(without_secrets(text), ensure_ascii=False)
