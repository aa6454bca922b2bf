"""The runtime in front of a guest's own AG-UI server: addresses come from the environment, by agent, as JSON."""

from __future__ import annotations

import json
import os

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.agui import AGUIProvider
from scripts.guests.processes import ADDRESSES

runtime = CopilotRuntime(providers=[AGUIProvider(json.loads(os.environ[ADDRESSES]))])
