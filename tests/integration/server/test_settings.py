"""Where a server process takes its settings from, and what it reports of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.integration.server.process import APP, run, running


def settings_file(folder: Path, text: str) -> str:
    file = folder / "settings.toml"
    file.write_text(text)
    return str(file)


def test_a_flag_beats_the_file_the_file_the_environment_and_that_the_default(tmp_path: Path) -> None:
    file = settings_file(
        tmp_path,
        'graphql_path = "/file"\nmax_messages = 2\ncors_origins = ["https://file.test"]\nlog_level = "debug"\n',
    )
    environment = {"graphql_path": "/environment", "cors_origins": "https://env.test", "max_body_bytes": "100"}
    with running(tmp_path, "--path", "/flag", "--config", file, **environment) as server:
        assert server.url == f"{server.origin}/flag"
        preflight = {"origin": "https://file.test", "access-control-request-method": "POST"}
        headers = httpx.options(server.url, headers=preflight).headers
        assert headers["access-control-allow-origin"] == "https://file.test"
        assert httpx.post(server.url, json={"query": "{hello}", "variables": {"x": "y" * 100}}).status_code == 413
        assert httpx.post(server.url, json={"query": "{hello}"}).status_code == 200


def test_the_settings_in_effect_are_those_of_all_places(tmp_path: Path) -> None:
    file = settings_file(
        tmp_path, "port = 2\nrate_limit = '60/minute burst 70'\ncors_origins = ['https://file.test']\n"
    )
    said = run("config", "--config", file, port="3", workers="4", trusted_proxies="10.0.0.0/8, ::1").stdout.splitlines()
    assert {
        "port = 2",
        "workers = 4",
        'rate_limit = "60/minute burst 70"',
        'cors_origins = ["https://file.test"]',
        'trusted_proxies = ["10.0.0.0/8", "::1"]',
        "run_timeout_seconds = 600.0",
        "# jwt_secret is not set",
    } <= set(said)


def test_the_settings_that_a_targets_own_code_gives_are_shown(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from copilotkit_runtime import CopilotRuntime, RuntimeConfig\n"
        "runtime = CopilotRuntime(config=RuntimeConfig(port=5))\n"
    )
    assert "port = 5\n" in run("config", "app.py:runtime", cwd=tmp_path, port="3").stdout


def test_no_secret_is_printed(tmp_path: Path) -> None:
    file = settings_file(
        tmp_path,
        """
        store = "postgresql://me:swordfish@host/db?password=swordfish"
        rate_limit_store = "redis://:swordfish@host/0"
        api_keys = ["me:swordfish"]
        jwt_jwks_url = "https://me:swordfish@idp/keys?token=swordfish"
        cloud_base_url = "https://me:swordfish@cloud"
        mcp_client_urls = ["https://mcp/?api_key=swordfish"]
        """,
    )
    ended = run("config", "--config", file)
    assert ended.returncode == 0
    assert "swordfish" not in ended.stdout + ended.stderr
    assert "swordfish" not in run("config", jwt_secret="swordfish").stdout
    assert "swordfish" not in run("config", jwt_public_key="swordfish").stdout


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ('[server]\nport = "1"', {}, ["server: unknown setting."]),
        ("prot = 1", {}, ["prot: unknown setting. Did you mean port?"]),
        ("port = 'none'", {}, ["port: Input should be a valid integer, unable to parse string as an integer"]),
        ("", {"prot": "1"}, ["COPILOTKIT_PROT: unknown setting. Did you mean COPILOTKIT_PORT?"]),
        ("", {"port": "70000"}, ["port (COPILOTKIT_PORT): Input should be less than or equal to 65535"]),
        ("", {"api_keys": "swordfish"}, ["api_keys (COPILOTKIT_API_KEYS): each must be written as identity:key"]),
        (
            "cors_credentials = true",
            {},
            ["cors_credentials: name the origins in cors_origins; '*' may not send credentials"],
        ),
        ("jwt_audience = 'chat'", {}, ["jwt_audience: needs one of jwt_secret, jwt_public_key, jwt_jwks_url"]),
        (
            "metrics = 'maybe'\nrate_limit = 'often'",
            {},
            [
                "rate_limit: must be like '60/minute' or '10/second burst 50'",
                "metrics: Input should be a valid boolean, unable to interpret input",
            ],
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, environment: dict[str, str], said: list[str]) -> None:
    ended = run("config", "--config", settings_file(tmp_path, text), **environment)
    assert (ended.returncode, ended.stderr.splitlines()) == (2, [f"copilotkit-runtime: {line}" for line in said])


@pytest.mark.parametrize(("encoding", "named"), [("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("utf-16-be", "UTF-16")])
def test_a_byte_order_mark_in_the_settings_file_is_named(tmp_path: Path, encoding: str, named: str) -> None:
    file = tmp_path / "marked.toml"
    text = "port = 1" if encoding != "utf-16-be" else "\ufeffport = 1"
    file.write_text(text, encoding=encoding)
    ended = run("config", "--config", str(file))
    said = f"The settings file {file} begins with a byte order mark (BOM) of {named}: save it as UTF-8 without BOM."
    assert (ended.returncode, ended.stderr) == (2, f"copilotkit-runtime: {said}\n")


def test_nothing_is_served_with_settings_that_are_wrong(tmp_path: Path) -> None:
    ended = run("serve", APP, "--config", settings_file(tmp_path, "prot = 1"), port="none")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "prot: unknown setting. Did you mean port?" in ended.stderr
    assert "port (COPILOTKIT_PORT): Input should be a valid integer" in ended.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--prot", "1"], "No such option: --prot"),
        (["--port", "none"], "Invalid value for '--port'"),
        (["--port", "70000"], "port: Input should be less than or equal to 65535"),
        (["--workers", "0"], "workers: Input should be greater than 0"),
        (["--path", "chat"], "graphql_path: must begin with '/'"),
        (["--store", "mysql://db"], "store: must be a URL that begins with memory://"),
        (["--store", "redi://me:secret@db"], "not with redi://. Did you mean redis://?"),
        (["--log-format", "xml"], "log_format: Input should be 'auto', 'console' or 'json'"),
        (["--config", "none.toml"], "The settings file none.toml cannot be read: No such file or directory."),
    ],
)
def test_a_flag_that_is_wrong_is_named(flags: list[str], said: str) -> None:
    ended = run("serve", APP, *flags)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
