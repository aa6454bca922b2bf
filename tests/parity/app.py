"""This runtime with scripted answers, for comparison with ``scripts/reference``."""

from copilotkit_runtime import CopilotRuntime
from tests.scripted import ScriptedProvider

runtime = CopilotRuntime(providers=[ScriptedProvider()], model=ScriptedProvider())
