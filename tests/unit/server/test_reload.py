"""Which files are watched where ``watchfiles`` is not installed."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.supervisors.statreload import StatReload

from copilotkit_runtime.server.cli import reload
from copilotkit_runtime.server.cli.reload import SourceReload, reload_class


def write(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    return file


@pytest.fixture
def watched(tmp_path: Path) -> Any:
    options = uvicorn.Config("app:app", log_config=None)
    options.reload_dirs = [tmp_path]
    with socket.socket() as listener:
        yield SourceReload(options, target=lambda _: None, sockets=[listener])


def test_the_project_s_own_files_are_watched_and_no_packages(watched: SourceReload, tmp_path: Path) -> None:
    own = {write(tmp_path / "app.py"), write(tmp_path / "agents" / "deep" / "one.py")}
    write(tmp_path / "agents" / "notes.txt")
    for packages in (".venv/lib", "page/node_modules/gyp", ".git/hooks", "agents/__pycache__"):
        write(tmp_path / packages / "foreign.py")
    write(tmp_path / "env" / "pyvenv.cfg")
    write(tmp_path / "env" / "lib" / "foreign.py")
    assert set(watched.iter_py_files()) == {file.resolve() for file in own}


def test_a_folder_that_goes_meanwhile_is_passed_over(watched: SourceReload, tmp_path: Path) -> None:
    write(tmp_path / "app.py")
    write(tmp_path / "going" / "away.py")
    files = watched.iter_py_files()
    assert next(files).name == "app.py"
    shutil.rmtree(tmp_path / "going")
    assert list(files) == []


def test_it_is_used_where_uvicorn_would_look_at_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "ChangeReload", StatReload)
    assert reload_class() is SourceReload
