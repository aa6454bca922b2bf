"""Writes a project that serves one agent."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from ...runtime.errors import ConfigurationError

FILES = Path(__file__).parent / "files"
_SUFFIX = ".template"  # so that no tool takes a template for a module of this package
_IGNORED = ".venv/\n__pycache__/\n.env\ncopilotkit.sqlite*\nnode_modules/\n"
_AGENT, _MODEL = "my_agent", "default"
"""The names of a project's agent, and of a model without one, for clients that speak AG-UI; others leave it out."""
_README = """# My agent

```bash
pip install -r requirements.txt
copilotkit-runtime dev app.py:runtime
```

`copilotkit-runtime-py` is not on PyPI yet: give these commands in the environment that has it, from a checkout.

The second command opens a chat page in the browser, at `http://127.0.0.1:8000/`. A React app talks to the agent with

```tsx
<CopilotKit runtimeUrl="http://127.0.0.1:8000/api/copilotkit" agent="my_agent">
```
"""
_MODEL_README = _README.replace(' agent="my_agent"', "") + "\nIt needs `OPENAI_API_KEY`.\n"
_PAGE = {
    "page/package.json": "package.json",
    "page/index.html": "index.html",
    "page/vite.config.js": "vite.config.js",
    "page/src/main.tsx": "main.tsx",
    "page/src/App.tsx": "App.tsx",
}
"""The files of a React page, with their templates."""
_PAGE_README = """
`page` is a React app with the newest client, which needs Node 20 or newer:

```bash
cd page
npm install
npm run dev
```
"""


class ProjectKind(StrEnum):
    """What the agent of a new project is made with."""

    LANGGRAPH = "langgraph"
    CREWAI = "crewai"
    MODEL = "model"
    CUSTOM = "custom"


_EXTRAS = {
    ProjectKind.LANGGRAPH: ("serve,langgraph", "langchain-openai"),
    ProjectKind.CREWAI: ("serve,crewai",),
    ProjectKind.MODEL: ("serve,openai",),
    ProjectKind.CUSTOM: ("serve",),
}


def write_project(folder: Path, kind: ProjectKind, *, page: bool = False) -> list[Path]:
    """Write a project into a folder that is not there, or empty.

    Args:
        folder: Where.
        kind: What the agent is made with.
        page: Whether it has a React page, too.

    Returns:
        The files.

    Raises:
        ConfigurationError: The folder has something in it, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not empty. Name a new folder.")
    texts = _texts(kind)
    if page:
        texts |= _page_texts(kind, texts["README.md"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}.") from error
    return [folder / name for name in texts]


def _texts(kind: ProjectKind) -> dict[str, str]:
    extras, *others = _EXTRAS[kind]
    return {
        "app.py": _template(kind, "app.py"),
        "requirements.txt": "\n".join([f"copilotkit-runtime-py[{extras}]", *others, ""]),
        "README.md": _MODEL_README if kind is ProjectKind.MODEL else _README,
        ".gitignore": _IGNORED,
    }


def _page_texts(kind: ProjectKind, readme: str) -> dict[str, str]:
    agent = _MODEL if kind is ProjectKind.MODEL else _AGENT
    files = {path: _template("page", name).replace(f'"{_AGENT}"', f'"{agent}"') for path, name in _PAGE.items()}
    return {"README.md": readme + _PAGE_README, **files}


def _template(folder: str, name: str) -> str:
    return (FILES / folder / f"{name}{_SUFFIX}").read_text("utf-8")
