"""``doctor``: what agents' models need, and targets that cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integration.server.own_process import Ended, run_here

KEYLESS = 'from copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime(model="openai:gpt-4o")\n'


class Doctor:
    """Examines a target that is written for it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._places = folder, (monkeypatch, capsys)

    def __call__(self, name: str, text: str) -> Ended:
        file = self._folder / f"{name}.py"
        file.write_text(text)
        return run_here(*self._places, "doctor", str(file))


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPILOTKIT_STORE", "memory://")
    monkeypatch.setenv("COPILOTKIT_PORT", "0")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return Doctor(tmp_path, monkeypatch, capsys)


def failures(ended: Ended) -> list[str]:
    return [line for line in ended.out.splitlines() if line.startswith("fail")]


def test_a_key_that_the_model_needs_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    examined = doctor("examined_keyless", KEYLESS)
    assert examined.status == 1
    assert failures(examined) == [
        "fail model openai:gpt-4o: OPENAI_API_KEY is not set, and the agent's model needs it."
        " Set it where the server starts."
    ]
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    examined = doctor("examined_with_key", KEYLESS)
    assert examined.status == 0
    assert "ok   model openai:gpt-4o is set up" in examined.out.splitlines()


def test_an_extra_that_the_model_needs_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    examined = doctor("examined_without_extra", KEYLESS)
    assert examined.status == 1
    [line] = failures(examined)
    assert "needs an extra. Install it with: pip install 'copilotkit-runtime-py[openai]'" in line


def test_a_key_of_an_imported_vendor_that_is_not_set_is_noted(doctor: Doctor) -> None:
    examined = doctor(
        "examined_vendor", "import openai\nfrom copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime()\n"
    )
    assert examined.status == 0
    assert "note openai is imported, and OPENAI_API_KEY is not set. Set it if its models are used." in examined.out


def test_a_target_that_cannot_be_loaded_is_a_finding_among_the_others(doctor: Doctor) -> None:
    examined = doctor("examined_raising", "import no_such_package\n")
    assert examined.status == 1
    [line] = failures(examined)
    assert line.endswith("cannot be loaded: it imports no_such_package, which is not installed.")
    assert "examined_raising.py" in examined.err
    assert examined.out.startswith("ok   Python")


def test_settings_that_are_wrong_end_it(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOTKIT_WORKERS", "many")
    examined = doctor("examined_settings", KEYLESS)
    assert examined.status == 2
    assert "workers (COPILOTKIT_WORKERS): " in examined.err
