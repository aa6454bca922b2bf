"""What an optional import that fails is reported as."""

from __future__ import annotations

import subprocess
import sys

import pytest

from copilotkit_runtime.runtime.errors import MissingExtraError
from copilotkit_runtime.runtime.optional import optional

FEATURES = [
    ("import copilotkit_runtime.providers.agui", "httpx", "The AG-UI provider", "agui"),
    ("import copilotkit_runtime.providers.crewai", "crewai", "The CrewAI provider", "crewai"),
    ("import copilotkit_runtime.providers.langgraph", "langgraph", "The LangGraph provider", "langgraph"),
    ("import copilotkit_runtime.providers.langgraph", "langgraph_sdk", "The LangGraph provider", "langgraph"),
    ("import copilotkit_runtime.providers.langserve", "httpx", "LangServe", "remote"),
    ("import copilotkit_runtime.providers.remote", "httpx", "The provider of remote endpoints", "remote"),
    ("import copilotkit_runtime.providers.mcp.connection", "mcp", "MCP", "mcp"),
]


def test_a_module_that_is_not_there_is_a_missing_extra() -> None:
    with pytest.raises(MissingExtraError) as raised, optional("Flying", "wings"):
        import no_such_module_anywhere  # type: ignore[import-not-found]  # noqa: F401
    assert raised.value.message == (
        "Flying needs an extra. Install it with: pip install 'copilotkit-runtime-py[wings]'"
        " (in a checkout of the repository: pip install '.[wings]')."
    )
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("statement", ["from json import no_such_name", "import json.no_such_part"])
def test_a_module_that_lacks_what_is_needed_is_an_extra_that_does_not_fit(statement: str) -> None:
    with (
        pytest.raises(
            MissingExtraError, match=r"the installed json\S* does not fit.*pip install --upgrade .*\[wings\]"
        ),
        optional("Flying", "wings"),
    ):
        exec(statement)


def test_a_package_that_is_only_needed_later_is_missed_at_once() -> None:
    with pytest.raises(MissingExtraError, match=r"\[wings\]"), optional("Flying", "wings", package="no_such_package"):
        pytest.fail("the block must not be entered")


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), optional("Flying", "wings"):
        _ = 1 / 0


@pytest.mark.parametrize(("statement", "package", "feature", "extra"), FEATURES)
def test_each_feature_names_its_own_extra(statement: str, package: str, feature: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from copilotkit_runtime.runtime.errors import MissingExtraError\n"
        f"try:\n    {statement}\nexcept MissingExtraError as error:\n    print(error.message)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.startswith(f"{feature} needs an extra.")
    assert f"copilotkit-runtime-py[{extra}]" in printed


def test_crewai_is_named_where_nothing_that_it_brings_is_installed() -> None:
    program = (
        "import sys; sys.modules['crewai'] = sys.modules['httpx'] = None\n"
        "from copilotkit_runtime.runtime.errors import MissingExtraError\n"
        "try:\n    import copilotkit_runtime.providers.crewai\n"
        "except MissingExtraError as error:\n    print(error.message)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "copilotkit-runtime-py[crewai]" in printed
