from __future__ import annotations

import os
import subprocess
import sys

import pytest

from copilotkit_runtime.providers.crewai.framework import disable_telemetry, load
from copilotkit_runtime.runtime.errors import MissingExtraError


def test_telemetry_is_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREWAI_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("CREWAI_TRACING_ENABLED", "true")
    disable_telemetry()
    assert os.environ["CREWAI_DISABLE_TELEMETRY"] == "true"
    assert os.environ["CREWAI_TRACING_ENABLED"] == "true"


def test_a_missing_framework_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crewai", None)
    with pytest.raises(MissingExtraError, match=r"\[crewai\]"):
        load()


def test_importing_the_provider_does_not_import_the_framework() -> None:
    program = (
        "import sys, copilotkit_runtime.providers.crewai as provider; "
        "provider.CrewAIProvider({}); sys.exit('crewai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_signal_handlers_stay_ours_even_with_telemetry() -> None:
    program = """
import os, signal, sys
os.environ["CREWAI_DISABLE_TELEMETRY"] = "false"
def ours(*_): pass
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, ours)
from copilotkit_runtime.providers.crewai.framework import load
load()
sys.exit(any(signal.getsignal(number) is not ours for number in (signal.SIGINT, signal.SIGTERM)))
"""
    environment = {**os.environ, "OTEL_SDK_DISABLED": "false"}
    assert subprocess.run([sys.executable, "-c", program], check=False, env=environment).returncode == 0
