"""A server process that cannot start reports why, and ends."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.integration.server.process import APP, certificate, run

MISTAKEN = ["redis://me:swordfish@127.0.0.1:1/0", "postgresql://me:swordfish@127.0.0.1:1/db"]


def events(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("store", "workers"), [(MISTAKEN[0], "1"), (MISTAKEN[0], "2"), (MISTAKEN[1], "1")])
def test_a_store_that_does_not_answer_ends_the_start_with_its_name_and_the_cause(store: str, workers: str) -> None:
    ended = run("serve", APP, "--port", "0", "--workers", workers, store=store, log_format="json")
    assert ended.returncode == 3
    line = next(line for line in events(ended.stderr) if line["event"] == "store_not_opened")
    assert line["store"] == store.replace("swordfish", "[hidden]")
    assert line["reason"]
    assert "Traceback" not in ended.stderr
    assert "swordfish" not in ended.stderr
    assert "CopilotKit runtime at" not in ended.stdout


def test_a_store_without_place_on_the_disk_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("in the way")
    ended = run("serve", APP, "--port", "0", store=f"sqlite:///{tmp_path}/no/folder/file", log_format="json")
    assert ended.returncode == 3
    assert "Not a directory" in next(e for e in events(ended.stderr) if e["event"] == "store_not_opened")["reason"]
    assert "Traceback" not in ended.stderr


def test_a_place_of_rates_that_does_not_answer_ends_the_start() -> None:
    ended = run(
        "serve",
        APP,
        "--port",
        "0",
        rate_limit="1/minute",
        rate_limit_store=MISTAKEN[0],
        store="memory://",
        log_format="json",
    )
    assert ended.returncode == 3
    assert "Connection refused" in next(e for e in events(ended.stderr) if e["event"] == "rates_not_counted")["reason"]
    assert "Traceback" not in ended.stderr


def test_an_agents_own_failure_to_start_is_reported_with_its_stack(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from copilotkit_runtime import CopilotRuntime\n"
        "from tests.support.scripted_agent import ScriptedProvider\n"
        "class Broken(ScriptedProvider):\n"
        "    async def start(self):\n"
        "        raise ValueError('no weights')\n"
        "runtime = CopilotRuntime(providers=[Broken()])\n"
    )
    ended = run("serve", "app.py:runtime", "--port", "0", cwd=tmp_path, store="memory://", log_format="json")
    assert ended.returncode == 3
    assert "ValueError: no weights" in ended.stderr
    assert "app.py" in ended.stderr


def test_a_busy_port_is_reported() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        for workers in ("1", "2"):
            ended = run("serve", APP, "--port", port, "--workers", workers, store="memory://")
            said = f"copilotkit-runtime: Cannot listen on 127.0.0.1, port {port}: Address already in use."
            said += " Choose another one with --port.\n"
            assert (ended.returncode, ended.stderr) == (2, said)


def test_files_of_tls_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path, "one", "-nodes")
    _, other = certificate(tmp_path, "two", "-nodes")
    _, locked = certificate(tmp_path, "three", "-passout", "pass:swordfish")
    garbage = tmp_path / "garbage"
    garbage.write_text("no PEM")
    cases = [
        (tmp_path / "none", key, f"ssl_certfile: {tmp_path}/none cannot be read: No such file or directory."),
        (pem, tmp_path / "none", f"ssl_keyfile: {tmp_path}/none cannot be read: No such file or directory."),
        (pem, locked, f"ssl_keyfile: {locked} is encrypted; a key without a password is needed."),
        (pem, garbage, f"ssl_certfile, ssl_keyfile: the certificate {pem} and the key {garbage} do not match: "),
        (pem, other, f"ssl_certfile, ssl_keyfile: the certificate {pem} and the key {other} do not match: "),
    ]
    for certfile, keyfile, said in cases:
        files = ["--ssl-certfile", str(certfile), "--ssl-keyfile", str(keyfile)]
        ended = run("serve", APP, "--port", "0", "--workers", "2", *files, store="memory://")
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
        assert ended.stderr.startswith(f"copilotkit-runtime: {said}")
    ended = run("serve", APP, "--ssl-certfile", str(pem))
    assert ended.stderr == "copilotkit-runtime: ssl_certfile and ssl_keyfile must be set together\n"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            [],
            "Name a TARGET: file.py:name or module:name of a runtime, a graph or a crew, or a folder that holds a"
            " langgraph.json.",
        ),
        (["none.py:runtime"], "The file none.py does not exist."),
        (["none:runtime"], "The module none does not exist."),
        (["none.json"], "The file none.json does not exist."),
        (
            ["json:runtime"],
            "json has no CopilotRuntime named 'runtime'."
            " Write runtime = CopilotRuntime(…) in it, outside of functions and conditions.",
        ),
    ],
)
def test_a_target_that_is_not_there_is_reported_without_a_stack(tmp_path: Path, target: list[str], said: str) -> None:
    ended = run("serve", *target, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (2, f"copilotkit-runtime: {said}\n")


MODEL = "from pydantic import BaseModel\nclass RuntimeConfig(BaseModel):\n    port: int"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def (", "SyntaxError: invalid syntax"),
        ("def f():\n    raise ValueError('boom')\nf()", "ValueError: boom"),
        (f"{MODEL}\nRuntimeConfig(port='x')", "pydantic_core._pydantic_core.ValidationError: 1 validation error"),
        (f"{MODEL}\nRuntimeConfig.model_validate_json('[]')", "ValidationError: 1 validation error for RuntimeConfig"),
        ("from pydantic import TypeAdapter\nTypeAdapter(int).validate_python('x')", "ValidationError: 1 validation"),
    ],
)
@pytest.mark.parametrize("target", ["faulty:runtime", "faulty.py:runtime", "langgraph.json"])
def test_a_fault_in_the_targets_own_code_is_reported_with_its_part_of_the_stack(
    tmp_path: Path, code: str, said: str, target: str
) -> None:
    folder = tmp_path / "learning_importlib"
    folder.mkdir()
    (folder / "faulty.py").write_text(f"{code}\n")
    (folder / "langgraph.json").write_text('{"graphs": {"faulty": "./faulty.py:graph"}}')
    ended = run("serve", target, cwd=folder)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "faulty.py" in ended.stderr.partition(said)[0]
    assert "copilotkit_runtime/" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"copilotkit-runtime: {target.partition(':')[0]} cannot be loaded")


def test_a_package_that_a_target_imports_and_that_is_not_installed_is_named(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import nothing_of_that_name.at_all\n")
    ended = run("serve", "app.py:runtime", cwd=tmp_path)
    said = "copilotkit-runtime: app.py cannot be loaded: it imports nothing_of_that_name, which is not installed."
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, said)


@pytest.mark.parametrize("target", ["faulty:runtime", "faulty.py:runtime"])
def test_a_fault_in_the_settings_that_a_target_gives_is_named_as_such(tmp_path: Path, target: str) -> None:
    code = "from copilotkit_runtime import CopilotRuntime, RuntimeConfig\n"
    (tmp_path / "faulty.py").write_text(f"{code}runtime = CopilotRuntime(config=RuntimeConfig(port=70000))\n")
    ended = run("serve", target, cwd=tmp_path)
    said = "copilotkit-runtime: port: Input should be less than or equal to 65535\n"
    assert (ended.returncode, ended.stderr) == (2, said)


@pytest.mark.parametrize(
    ("module", "made", "extra"),
    [
        ("prometheus_client", "CopilotRuntime(config=RuntimeConfig(metrics=True))", "metrics"),
        ("opentelemetry", "CopilotRuntime(config=RuntimeConfig(tracing=True))", "otel"),
        ("jwt", "CopilotRuntime(config=RuntimeConfig(jwt_secret='x'))", "auth"),
        ("redis", "CopilotRuntime(store='redis://h')", "redis"),
        ("psycopg", "CopilotRuntime(store='postgresql://h/d')", "postgres"),
    ],
)
def test_a_missing_extra_is_named(tmp_path: Path, module: str, made: str, extra: str) -> None:
    (tmp_path / "app.py").write_text(
        f"import sys\nsys.modules['{module}'] = None\n"
        f"from copilotkit_runtime import CopilotRuntime, RuntimeConfig\nruntime = {made}\n"
    )
    ended = run("serve", "app.py:runtime", cwd=tmp_path)
    assert ended.returncode == 2
    assert f"pip install 'copilotkit-runtime-py[{extra}]'" in ended.stderr
    assert "Traceback" not in ended.stderr
