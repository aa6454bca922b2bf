from __future__ import annotations

import pytest

from copilotkit_runtime.providers.models.redaction import TEXT_LIMIT, redacted

WORDS = [
    "model not found, try a next one",
    "none of the models is available",
    "unauthorized: key-based authentication is required",
    "the key-management-service is down",
    "invalid-api-key-provided",
    "api key: please check your settings",
    "Authorization: required",
    "Bearer token is missing",
    "The test server is ollama at lm-studio",
    "error 1 of 12",
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(
    "key", ["x", "none", "EMPTY", "test", "ollama", "lm-studio", "not-needed", "1", "a", "sk", "key", ""]
)
def test_a_key_that_is_none_is_never_cut_out_of_words(words: str, key: str) -> None:
    assert redacted(words, [key]) == words


@pytest.mark.parametrize("key", ["hunter2", "pass1234", "aB3d", "SeCret", "sk-1", "0123456789abcdef", "k" * 40])
def test_a_key_is_taken_out_where_it_stands_alone(key: str) -> None:
    for text in (f"wrong key {key}.", f"'{key}' is wrong", f'{{"key":"{key}"}}', f"Bearer {key}", key):
        assert key not in redacted(text, [key])


@pytest.mark.parametrize("key", ["hunter2", "pass1234"])
def test_a_short_key_is_not_taken_out_of_a_longer_word(key: str) -> None:
    assert redacted(f"the hunter is a{key}b", [key]) == f"the hunter is a{key}b"


@pytest.mark.parametrize("key", ["sk-proj-0123456789abcdefghij\n", "  0123456789abcdefghij  "])
def test_a_key_with_a_line_end_or_spaces_is_taken_out(key: str) -> None:
    assert key.strip() not in redacted(f"Illegal header value b'Bearer {key.strip()}\\n'", [key])


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "authorization: Bearer eyJh.eyJz.c2ln",
        "api_key= abcDEF",
        "access-token: t0k3n",
    ],
)
def test_what_is_named_a_key_is_taken_out(text: str) -> None:
    assert text.split()[-1] not in redacted(text)


@pytest.mark.parametrize(
    "key", ["sk-ant-api03-0a", "gsk_0123456789ab", "AKIAIOSFODNN7EXAMPLE", "hf_abcdefgh12", "sk-***xyz"]
)
def test_what_looks_like_a_key_is_taken_out(key: str) -> None:
    assert key not in redacted(f"the key {key} is wrong")


def test_a_long_key_is_taken_out_of_anything() -> None:
    key = "abcdefghijklmnopqrstuvwxyz"
    assert redacted(f"x{key}x", [key]) == "x[redacted]x"


@pytest.mark.parametrize(
    "word", ["a", "sk-.", "key-.", "key_-", "Bearer", "api_key", "*", "a*", "bedrock-api-key-", "AKIA"]
)
def test_a_long_text_is_read_in_proportion_to_its_length(word: str) -> None:
    assert len(redacted(word * 1_000_000)) <= TEXT_LIMIT


@pytest.mark.parametrize("before", [7_950, 7_990, 8_010])
def test_a_key_that_the_end_of_what_is_read_goes_through_is_not_shown(before: int) -> None:
    key, padding = "x" * 10 + "0123456789" + "y" * 60, "*" * 99 + " "
    assert "0123456789" not in redacted(padding * (before // 100) + " " * (before % 100) + key, [key])
