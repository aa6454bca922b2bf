"""Writes a project that serves one agent."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from ...runtime.errors import ConfigurationError

FILES = Path(__file__).parent / "files"
_SUFFIX = ".template"  # so that no tool takes a template for a module of this package
_IGNORED = ".venv/\n__pycache__/\n.env\ncopilotkit.sqlite*\nnode_modules/\n"
_README = """# My agent

```bash
pip install -r requirements.txt
copilotkit-runtime dev app.py:runtime
```

The second opens a chat page in the browser, at `http://127.0.0.1:8000/`. A React app talks to the agent with

```tsx
<CopilotKit runtimeUrl="http://127.0.0.1:8000/api/copilotkit" agent="my_agent">
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


def write_project(folder: Path, kind: ProjectKind) -> list[Path]:
    """Write a project into a folder that is not there, or empty.

    Args:
        folder: Where.
        kind: What the agent is made with.

    Returns:
        The files.

    Raises:
        ConfigurationError: The folder has something in it, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not empty. Name a new folder.")
    extras, *others = _EXTRAS[kind]
    texts = {
        "app.py": (FILES / kind / f"app.py{_SUFFIX}").read_text("utf-8"),
        "requirements.txt": "\n".join([f"copilotkit-runtime-py[{extras}]", *others, ""]),
        "README.md": _README,
        ".gitignore": _IGNORED,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}.") from error
    return [folder / name for name in texts]
