"""The texts for language models list every page."""

from __future__ import annotations

from scripts.site.llms import Page, index, whole

PAGES = [
    Page("Home", "Start", "index.html", "# Start\n\n![A picture](a.png)\n\nA runtime. And more.\n"),
    Page("Agents", "CrewAI", "crewai.html", "# CrewAI\n\n```bash\nrun\n```\n\nCrews [run](x.md) here: all\nof them.\n"),
    Page("Agents", "Empty", "empty.html", "# Empty\n"),
]


def test_the_index_has_each_page_with_its_first_sentence() -> None:
    assert index("name", "What it is.", PAGES, "https://docs.example.com/") == (
        "# name\n\n> What it is.\n\n## Home\n\n- [Start](https://docs.example.com/index.html): A runtime.\n\n"
        "## Agents\n\n- [CrewAI](https://docs.example.com/crewai.html): Crews run here:\n"
        "- [Empty](https://docs.example.com/empty.html)\n"
    )


def test_the_whole_has_each_source() -> None:
    text = whole("name", "What it is.", PAGES)
    assert all(page.markdown.strip() in text for page in PAGES)
