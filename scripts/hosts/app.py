"""The runtime of the worker hosts."""

from __future__ import annotations

from copilotkit_runtime import CopilotRuntime
from scripts.hosts.agent import Teller

runtime = CopilotRuntime(providers=[Teller()])
