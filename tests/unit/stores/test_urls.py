"""From a URL to a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from copilotkit_runtime.runtime.errors import ConfigurationError, MissingExtraError
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.sqlite import SqliteStore
from copilotkit_runtime.runtime.stores.urls import open_store, sqlite_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///states.sqlite", "states.sqlite"),
        ("sqlite:///folder/states.sqlite", "folder/states.sqlite"),
        ("sqlite:////var/lib/states.sqlite", "/var/lib/states.sqlite"),
        ("sqlite:////var/my%20states.sqlite", "/var/my states.sqlite"),
        ("SQLITE:///states.sqlite", "states.sqlite"),
    ],
)
def test_a_sqlite_url_names_a_file(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)
    assert isinstance(open_store(url), SqliteStore)


def test_memory_needs_nothing_else() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "mysql://host/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://host/file",
        "redis://host:port",
        "postgresql://host/db?nonsense=1",
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "module", "extra"), [("redis://", "redis", "redis"), ("postgres://", "psycopg", "postgres")]
)
def test_a_store_whose_library_is_missing_names_the_extra(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"copilotkit_runtime.runtime.stores.{extra}", raising=False)
    for name in [name for name in sys.modules if name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(MissingExtraError, match=rf"copilotkit-runtime-py\[{extra}\]"):
        open_store(url)


def test_no_library_is_imported_before_its_store_is_opened() -> None:
    program = (
        "import sys; from copilotkit_runtime.runtime.stores.urls import open_store; open_store('memory://');"
        "sys.exit(sorted({'redis', 'psycopg', 'aiosqlite'} & sys.modules.keys()) or 0)"
    )

    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert finished.stderr == ""
