"""``doctor``: what agents' models need, and targets that cannot be loaded."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from tests.integration.server.own_process import Ended, run_here

KEYLESS = 'from copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime(model="openai:gpt-4o")\n'
EMPTY = "from copilotkit_runtime import CopilotRuntime\nruntime = CopilotRuntime()\n"


class Doctor:
    """Examines a target that is written for it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._places = folder, (monkeypatch, capsys)

    def __call__(self, name: str, text: str, *more: str) -> Ended:
        file = self._folder / f"{name}.py"
        file.write_text(text)
        return run_here(*self._places, "doctor", str(file), *more)

    def without_target(self) -> Ended:
        return run_here(*self._places, "doctor")


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


def test_without_a_target_it_reports_that_agents_were_not_looked_at(doctor: Doctor, tmp_path: Path) -> None:
    assert "note no TARGET was given, so that agents were not looked at. Name one: " in doctor.without_target().out
    (tmp_path / "app.py").write_text(KEYLESS)
    examined = doctor.without_target()
    assert examined.status == 0
    assert "agents were not looked at. Did you mean app.py:runtime?" in examined.out


def test_without_a_target_it_takes_the_folder_s_langgraph_json(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "looked_at.py").write_text(
        "from langgraph.graph import START, MessagesState, StateGraph\n"
        "graph = StateGraph(MessagesState).add_node('n', lambda state: {}).add_edge(START, 'n').compile()\n"
    )
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"dependencies": ["."], "graphs": {"research": "./looked_at.py:graph"}}))
    assert "ok   agents: research; model: none" in doctor.without_target().out
    file.write_text(json.dumps({"dependencies": ["."], "graphs": {"research": "./away.py:graph"}}))
    [line] = failures(doctor.without_target())
    assert line.startswith("fail target langgraph.json: ")


def test_a_port_in_use_is_no_failure_where_a_running_server_is_looked_at(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("COPILOTKIT_PORT", str(port))
        alone = failures(doctor("examined_port", EMPTY))
        beside = failures(doctor("examined_port_beside", EMPTY, "--url", "http://127.0.0.1:1/api/copilotkit"))
    assert [line.split(":")[0] for line in alone] == [f"fail 127.0.0.1, port {port}"]
    assert [line.split(" ")[1] for line in beside] == ["http://127.0.0.1:1/api/copilotkit:"]


def test_settings_that_are_wrong_end_it(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOTKIT_WORKERS", "many")
    examined = doctor("examined_settings", KEYLESS)
    assert examined.status == 2
    assert "workers (COPILOTKIT_WORKERS): " in examined.err


def test_a_redis_for_rates_that_is_away_is_named_without_its_password(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPILOTKIT_RATE_LIMIT", "10/minute")
    monkeypatch.setenv("COPILOTKIT_RATE_LIMIT_STORE", "redis://:swordfish@127.0.0.1:1/0")
    examined = doctor("examined_rates", EMPTY)
    [failure] = failures(examined)
    assert failure.startswith("fail rates redis://:[hidden]@127.0.0.1:1/0: Error 111 connecting")
    assert "rate_limit_store" in failure
    assert examined.status == 1
    assert "swordfish" not in examined.out + examined.err


def test_a_certificate_that_is_not_there_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOTKIT_SSL_CERTFILE", "nowhere.pem")
    monkeypatch.setenv("COPILOTKIT_SSL_KEYFILE", "nowhere.key")
    examined = doctor("examined_tls", EMPTY)
    [failure] = failures(examined)
    assert failure.startswith("fail ssl_certfile: nowhere.pem cannot be read: No such file or directory.")
    assert examined.status == 1


def test_a_store_is_looked_at_that_is_named_as_for_a_server(doctor: Doctor) -> None:
    url = "postgresql://me:swordfish@127.0.0.1:1/chat"
    examined = doctor("examined_store", EMPTY, "--store", url, "--port", "0")
    [failure] = failures(examined)
    assert failure.startswith("fail store postgresql://me:[hidden]@127.0.0.1:1/chat: connection failed:")
    assert "Connection refused" in failure
    assert examined.status == 1
    assert "swordfish" not in examined.out + examined.err
