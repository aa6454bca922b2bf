"""Secrets stay out of the log."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from copilotkit_runtime.runtime.observability.logs import log_without_values, redact
from copilotkit_runtime.runtime.redaction import HIDDEN, without_secrets


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "Authorization",
        "api_key",
        "openai_api_key",
        "x-api-key",
        "apikey",
        "password",
        "cookie",
        "set-cookie",
        "access_token",
        "client_secret",
        "x-copilotcloud-public-api-key",
        "private_key",
        "apiKey",
        "accessToken",
        "openaiApiKey",
        "clientSecret",
    ],
)
def test_a_field_with_the_name_of_a_secret_is_hidden(key: str) -> None:
    assert redact(None, "info", {key: "x", "nested": {"deep": [{key: "x"}]}}) == {
        key: HIDDEN,
        "nested": {"deep": [{key: HIDDEN}]},
    }


@pytest.mark.parametrize(
    "key", ["tokens", "max_tokens", "maxTokens", "author", "authorId", "key", "keyboard", "secretary"]
)
def test_a_field_that_only_looks_so_is_shown(key: str) -> None:
    assert redact(None, "info", {key: "x"}) == {key: "x"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {HIDDEN}"),
        ("key sk-proj-abcdefghijklmnop123 used", f"key {HIDDEN} used"),
        ("ck_pub_0123456789abcdef0123", HIDDEN),
        ("postgresql://me:pa%20ss@db/x", f"postgresql://me:{HIDDEN}@db/x"),
        ("redis://:secret@db", f"redis://:{HIDDEN}@db"),
        ("eyJhbGciOi.eyJzdWIiOi.c2ln", HIDDEN),
        ("AKIAIOSFODNN7EXAMPLE", HIDDEN),
        ("postgresql://db/x?password=abc&sslmode=require", f"postgresql://db/x?password={HIDDEN}&sslmode=require"),
        ("OpenAI(api_key='abc', max_tokens=5)", f"OpenAI(api_key='{HIDDEN}', max_tokens=5)"),
        ("{'api_key': 'abc', 'n': 1}", f"{{'api_key': '{HIDDEN}', 'n': 1}}"),
        ('{"accessToken": "abc"}', f'{{"accessToken": "{HIDDEN}"}}'),
        ("OPENAI_API_KEY=abc", f"OPENAI_API_KEY={HIDDEN}"),
        ("get(authorization='Bearer abc')", f"get(authorization='{HIDDEN}')"),
        ("authorization=Bearer abc, x=1", f"authorization={HIDDEN}, x=1"),
        ("connect(password='a b c', port=1)", f"connect(password='{HIDDEN}', port=1)"),
        ("http://127.0.0.1:8000/path", "http://127.0.0.1:8000/path"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_a_text_that_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_other_values_stay_as_they_are() -> None:
    event: dict[str, Any] = {"n": 1, "none": None, "list": [1, "a"], "password": None}
    assert redact(None, "info", dict(event)) == event


def test_what_is_neither_text_nor_a_container_is_hidden_as_it_would_be_printed() -> None:
    event = {"error": ValueError("Bearer abc"), "headers": frozenset([("authorization", "Bearer abc")])}
    assert "abc" not in str(redact(None, "info", event))


@pytest.mark.parametrize("piece", ["x-", "a_", "-eyJ", "'a", "password=", "://"])
def test_no_text_takes_long(piece: str) -> None:
    assert without_secrets(piece * 20_000)


def test_a_stack_is_written_in_lines_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    structlog.reset_defaults()  # a test that has captured logs leaves the process with a configuration of its own
    log_without_values()
    structlog.get_logger(__name__).error("loop_blocked", seconds=1, stack='  File "agent.py", line 3\n    sleep()\n')
    assert caplog.messages == ['loop_blocked seconds=1\n  File "agent.py", line 3\n    sleep()']
