"""Links from pages to files outside of ``docs/`` work on the site as they do on GitHub."""

from __future__ import annotations

import pytest

from scripts.site.outside import content_of, linked, rewritten


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("quickstart.md", "../examples/crew.py", "files/examples/crew.py.md"),
        ("recipes/nginx.md", "../../deploy/nginx.conf#tls", "../files/deploy/nginx.conf.md#tls"),
        ("quickstart.md", "stores.md#threads", "stores.md#threads"),
        ("quickstart.md", "https://example.com/a.md", "https://example.com/a.md"),
        ("quickstart.md", "#there", "#there"),
        ("files/CONTRIBUTING.md", "docs/architecture.md", "../architecture.md"),
        ("files/CONTRIBUTING.md", "SECURITY.md", "SECURITY.md"),
    ],
)
def test_a_link_is_led_to_its_page(page: str, link: str, led: str) -> None:
    assert rewritten(f"See [it]({link}).", page) == f"See [it]({led})."


def test_what_stands_in_a_fence_is_left_alone() -> None:
    text = "```text\n[it](../examples/crew.py)\n```\n"
    assert rewritten(text, "quickstart.md") == text


def test_every_file_that_is_linked_has_a_page_with_its_text() -> None:
    paths = set(linked())
    assert "examples/crew.py" in paths
    assert all(content_of(path).strip() for path in paths)
    assert "class State(" in content_of("examples/langgraph_agent.py")
    assert "## examples/react/src/App.tsx" in content_of("examples/react")
