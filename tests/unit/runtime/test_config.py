"""Settings: where they come from, which wins, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from copilotkit_runtime import RuntimeConfig
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.rates import Rate
from copilotkit_runtime.runtime.setting_sources import setting_layers
from copilotkit_runtime.server.cli.options import effective, faults, layers


def test_a_flag_wins_over_the_file_the_file_over_the_environment_and_that_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 2\nhost = "file"\n')
    for name in ("PORT", "HOST", "GRAPHQL_PATH"):
        monkeypatch.setenv(f"COPILOTKIT_{name}", "3" if name == "PORT" else f"/{name}")
    with setting_layers(layers(file, port=1)):
        config = RuntimeConfig()
    assert (config.port, config.host, config.graphql_path) == (1, "file", "/GRAPHQL_PATH")
    assert config.run_timeout_seconds == 600
    assert config.store == "sqlite:///copilotkit.sqlite"
    assert RuntimeConfig().store == "memory://"


def test_a_keyword_argument_yields_to_a_flag_alone(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 2\nhost = "file"\n')
    with setting_layers(layers(file, port=1)):
        config = RuntimeConfig(port=4, host="code")
    assert (config.port, config.host) == (1, "code")


def test_the_environment_may_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("port = 2")
    monkeypatch.setenv("COPILOTKIT_CONFIG", str(file))
    assert RuntimeConfig().port == 2


@pytest.mark.parametrize("text", ["http://a, http://b", '["http://a", "http://b"]'])
def test_a_list_in_the_environment_may_have_commas(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("COPILOTKIT_CORS_ORIGINS", text)
    assert RuntimeConfig().cors_origins == ("http://a", "http://b")


def test_an_unknown_variable_is_named_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOTKIT_PROT", "secret-value")
    monkeypatch.setenv("COPILOTKIT_TELEMETRY_DISABLED", "true")
    with pytest.raises(ValidationError) as raised:
        RuntimeConfig()
    assert list(faults(raised.value)) == ["COPILOTKIT_PROT: unknown setting. Did you mean COPILOTKIT_PORT?"]
    assert "secret-value" not in str(raised.value)


def test_an_unknown_key_of_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("run_timeout_second = 5")
    with setting_layers(layers(file)), pytest.raises(ValidationError) as raised:
        RuntimeConfig()
    assert "Did you mean run_timeout_seconds?" in next(faults(raised.value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("RATE_LIMIT", "many"),
        ("RATE_LIMIT", "0/minute"),
        ("RATE_LIMIT", "5/minute burst 0"),
        ("GRAPHQL_PATH", "relative"),
        ("MAX_MESSAGES", "0"),
        ("ENV", "staging"),
        ("STORE", "mysql://db"),
        ("RATE_LIMIT_STORE", "sqlite:///rates"),
        ("API_KEYS", "key-without-identity"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "nginx"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/page"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", '["https://app.example.com"'),
        ("GRAPHQL_PATH", "/{any}"),
        ("JWT_JWKS_URL", "file:///etc/keys"),
        ("MCP_CLIENT_URLS", "localhost"),
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"COPILOTKIT_{name}", value)
    with pytest.raises(ValidationError) as raised:
        RuntimeConfig()
    assert next(faults(raised.value)).startswith(f"{name.lower()} (COPILOTKIT_{name}): ")


AUTHENTICATION = [
    "auth",
    "api_keys",
    "jwt_secret",
    "jwt_public_key",
    "jwt_jwks_url",
    "jwt_algorithms",
    "jwt_audience",
    "jwt_issuer",
]


@pytest.mark.parametrize("value", ["", "  "])
@pytest.mark.parametrize("name", AUTHENTICATION)
def test_a_setting_of_authentication_that_is_there_and_empty_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError, match="empty"):
        RuntimeConfig(**{name: value})  # type: ignore[arg-type]
    file = tmp_path / "settings.toml"
    file.write_text(f'{name} = "{value}"')
    with setting_layers(layers(file)), pytest.raises(ValidationError, match="empty"):
        RuntimeConfig()
    monkeypatch.setenv(f"COPILOTKIT_{name.upper()}", value)
    with pytest.raises(ValidationError) as raised:
        RuntimeConfig()
    assert next(faults(raised.value)).startswith(f"{name} (COPILOTKIT_{name.upper()}): is set, but empty")


@pytest.mark.parametrize("value", [",", "[]", " , "])
def test_a_list_of_no_keys_is_empty(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("COPILOTKIT_API_KEYS", value)
    with pytest.raises(ValidationError, match="empty"):
        RuntimeConfig()


def test_other_empty_variables_are_as_if_they_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOTKIT_PORT", "")
    assert RuntimeConfig().port == 8000


@pytest.mark.parametrize("text", ["port = ", None])
def test_a_file_that_is_not_toml_or_not_there_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "settings.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"settings\.toml"):
        layers(file)


def test_production_has_neither_graphiql_nor_introspection_unless_they_are_set() -> None:
    config = RuntimeConfig(env="production")
    assert (config.graphiql, config.introspection) == (False, False)
    assert RuntimeConfig(env="production", introspection=True).introspection is True


def test_a_credentialed_wildcard_is_refused() -> None:
    with pytest.raises(ValidationError, match="may not send credentials"):
        RuntimeConfig(cors_origins=("*",), cors_credentials=True)


def test_a_certificate_without_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be set together"):
        RuntimeConfig(ssl_certfile=Path("cert.pem"))


def test_an_origin_is_taken_as_browsers_write_it() -> None:
    config = RuntimeConfig(cors_origins=("https://App.example.com/", "capacitor://localhost"))
    assert config.cors_origins == ("https://app.example.com", "capacitor://localhost")


@pytest.mark.parametrize(
    "values", [{"jwt_audience": "chat"}, {"jwt_issuer": "idp"}, {"jwt_secret": "x", "jwt_public_key": "y"}]
)
def test_settings_of_tokens_that_would_verify_nothing_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="jwt_"):
        RuntimeConfig(**values)


def test_a_rate_is_written_in_words_alone(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("rate_limit = { count = 1, seconds = 7, burst = 1 }")
    with setting_layers(layers(file)), pytest.raises(ValidationError) as raised:
        RuntimeConfig()
    assert list(faults(raised.value)) == ["rate_limit: must be like '60/minute' or '10/second burst 50'"]


def test_what_is_printed_hides_secrets() -> None:
    config = RuntimeConfig(
        api_keys=("me:swordfish",),
        jwt_secret="swordfish",
        store="redis://user:swordfish@host/0",
        rate_limit_store="redis://host/0?password=swordfish",
        cloud_base_url="https://user:swordfish@cloud",
        mcp_client_urls=("https://mcp/?api_key=swordfish",),
        rate_limit="1/second",
    )
    text = "\n".join(effective(config))
    assert "swordfish" not in text
    assert 'store = "redis://user:[hidden]@host/0"' in text
    assert 'rate_limit = "1/second burst 1"' in text


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/minute", Rate(60, 60, 60)),
        ("10/second burst 50", Rate(10, 1, 50)),
        (" 1 / hour ", Rate(1, 3600, 1)),
        ("5/day", Rate(5, 86400, 5)),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert Rate.parse(str(rate)) == rate
