"""Runs a Node script against this runtime: ``python -m tests.support.node_script [--app APP] SCRIPT [ARGUMENT...]``."""

from __future__ import annotations

import subprocess
import sys

from tests.parity.servers import ours, serving


def main(*arguments: str) -> int:
    """The script's exit status; it is given the runtime's URL first."""
    target = ours()
    if arguments[0] == "--app":
        target, arguments = ours(arguments[1]), arguments[2:]
    script, *more = arguments
    with serving(target) as server:
        return subprocess.run(["node", script, server.url, *more], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
