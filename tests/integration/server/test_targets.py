"""Targets of a command that are named by a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilotkit_runtime.server.cli.target import TargetError, load_runtime

SERVED = """
from copilotkit_runtime import CopilotRuntime, RuntimeConfig

runtime = CopilotRuntime(config=RuntimeConfig(cors_origins=[ORIGIN]))
"""


@pytest.fixture(autouse=True)
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in [name for name in sys.modules if name not in before and name.startswith("target_")]:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def test_a_file_imports_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "target_words.py", "ORIGIN = 'https://beside.test'\n")
    file = write(tmp_path, "target_alone.py", f"from target_words import ORIGIN\n{SERVED}")
    assert load_runtime(file).config.cors_origins == ("https://beside.test",)
    assert "target_alone" in sys.modules


def test_a_file_of_a_package_may_import_relatively(tmp_path: Path) -> None:
    write(tmp_path, "target_package/__init__.py", "")
    write(tmp_path, "target_package/words.py", "ORIGIN = 'https://package.test'\n")
    file = write(tmp_path, "target_package/agents/__init__.py", "")
    file = write(tmp_path, "target_package/agents/main.py", f"from ..words import ORIGIN\n{SERVED}")
    assert load_runtime(f"{file}:runtime").config.cors_origins == ("https://package.test",)


def test_a_file_that_raises_is_not_kept_and_leaves_what_has_its_name(tmp_path: Path) -> None:
    file = write(tmp_path, "json.py", "1 / 0\n")
    json = sys.modules["json"]
    with pytest.raises(TargetError) as raised:
        load_runtime(file)
    assert "json.py" in raised.value.stack
    assert "python_files" not in raised.value.stack
    assert sys.modules["json"] is json
