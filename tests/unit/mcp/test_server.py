from __future__ import annotations

import pytest

from copilotkit_runtime import errors
from copilotkit_runtime.providers.mcp import MCPServer
from copilotkit_runtime.providers.mcp.server import AllowList, servers_of

ALLOWED = AllowList(["https://mcp.test/tools", "http://other.test:8080/"])


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.test/tools",
        "https://mcp.test/tools/",
        "https://mcp.test/tools/a/b",
        "https://MCP.test:443/tools?x=1",
        "http://other.test:8080/anything",
    ],
)
def test_a_listed_url_and_what_is_below_it_is_admitted(url: str) -> None:
    assert ALLOWED.admits(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mcp.test/tools",
        "http://mcp.test/tools",
        "https://mcp.test/",
        "https://mcp.test/toolsmith",
        "https://mcp.test/tools/../admin",
        "https://mcp.test/tools/%2e%2e/admin",
        "https://mcp.test:8443/tools",
        "https://mcp.test.evil.test/tools",
        "https://mcp.test@evil.test/tools",
        "https://evil.test/?https://mcp.test/tools",
        "https://evil.test\\@mcp.test/tools",
        "http://other.test/",
        "file:///etc/passwd",
        "http://[::1",
        "http://other.test:99999/",
    ],
)
def test_any_other_url_is_not(url: str) -> None:
    assert not ALLOWED.admits(url)


def test_nothing_is_admitted_by_default() -> None:
    assert not AllowList([]).admits("http://localhost/")


def test_servers_may_be_listed_as_the_typescript_runtime_has_them() -> None:
    [one, two] = servers_of(["http://a.test/sse", {"endpoint": "http://b.test/mcp?token=t", "apiKey": "k"}])
    assert (one.kind, two.kind) == ("sse", "http")
    assert two.all_headers == {"Authorization": "Bearer k"}
    assert two.name == "http://b.test/mcp"


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/"])
def test_an_allow_list_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(errors.MisuseError):
        AllowList([url])


def test_a_command_is_not_an_http_server() -> None:
    with pytest.raises(errors.MisuseError):
        servers_of([MCPServer(command="x", transport="http")])
