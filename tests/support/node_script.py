"""Runs a Node script against this runtime: ``python -m tests.support.node_script SCRIPT [ARGUMENT...]``."""

from __future__ import annotations

import subprocess
import sys

from tests.parity.servers import ours, serving


def main(script: str, *arguments: str) -> int:
    """The script's exit status; it is given the runtime's URL first."""
    with serving(ours()) as server:
        return subprocess.run(["node", script, server.url, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
