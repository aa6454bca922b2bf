"""Prove on several hosts that runs are shown once, whatever happens to the hosts.

    .venv/bin/python -m scripts.hosts                        500 runs, all scenarios, Redis and PostgreSQL
    .venv/bin/python -m scripts.hosts --small                what CI runs
    .venv/bin/python -m scripts.hosts --stores redis --scenarios worker-dies --runs 100 --outage 20

Hosts are network namespaces, so that it takes root, iproute2 and nginx; nothing of the machine's own network changes.
Exits with 1 if anything was lost or shown twice, and with 2 if this machine cannot make namespaces.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import uvloop

from scripts.hosts.machines import Deployment
from scripts.hosts.network import NoNamespacesError, is_inside, run_inside
from scripts.hosts.scenarios import FULL, HEAD, IN_CI, SCENARIOS, SMALL, Outcome, Scale, play

STORES = ("redis", "postgres")
_SHOWN_FAULTS = 8
_LATE_SECONDS = 10.0
"""From how long a wait for the first word on a client is named."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.hosts", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="few runs, the most telling scenarios, Redis only")
    parser.add_argument("--runs", type=int, help="how many runs go on at once in each scenario")
    parser.add_argument("--outage", type=float, help="for how many seconds a host is away")
    parser.add_argument("--stores", nargs="+", choices=STORES)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS)
    parser.add_argument("--keep", type=Path, help="an empty folder for the logs of all hosts, which are kept there")
    return parser.parse_args()


def _report(outcome: Outcome) -> None:
    print(outcome.row(), flush=True)
    for refusal, times in Counter(each for v in outcome.visitors for each in v.refusals).most_common(_SHOWN_FAULTS):
        print(f"    refused: {times} x {refusal}")
    late = [(each.first_word or 0.0, each.thread, each.refusals) for each in outcome.visitors]
    for seconds, thread, refusals in sorted(late, reverse=True)[:_SHOWN_FAULTS]:
        if seconds > _LATE_SECONDS:
            print(f"    late: {thread}: {seconds:.1f} s, refused {', '.join(refusals[:3]) or 'never'}")
    for fault in outcome.faults[:_SHOWN_FAULTS]:
        print(f"    FAULT: {fault}")


def _prove(store: str, names: list[str], scale: Scale, folder: Path) -> bool:
    deployment = Deployment(store, folder)
    print(
        f"{store}: 2 web hosts, 3 worker hosts, {scale.runs} runs of {scale.words} words each {scale.pace} s,"
        f" half of them on each wire; outages of {scale.away_seconds:.0f} s; load {os.getloadavg()[0]:.1f}"
    )
    deployment.start()
    print(HEAD, flush=True)
    good = True
    for name in names:
        outcome = uvloop.run(play(name, deployment, scale))
        _report(outcome)
        good = good and not outcome.faults
    return good


def _inside(arguments: argparse.Namespace) -> int:
    scale = SMALL if arguments.small else FULL
    scale = msgspec.structs.replace(
        scale, runs=arguments.runs or scale.runs, away_seconds=arguments.outage or scale.away_seconds
    )
    names = arguments.scenarios or list(IN_CI if arguments.small else SCENARIOS)
    with tempfile.TemporaryDirectory(prefix="copilotkit-hosts-", ignore_cleanup_errors=True) as name:
        folder = arguments.keep or Path(name)
        folder.chmod(0o755)
        return int(not _prove(arguments.stores[0], names, scale, folder))


def main() -> int:
    """Play the scenarios on each store, in a network of its own; return the exit status."""
    arguments = _arguments()
    if is_inside():
        return _inside(arguments)
    stores = arguments.stores or (STORES[:1] if arguments.small else STORES)
    try:
        return max(run_inside("scripts.hosts", [*sys.argv[1:], "--stores", store]) for store in stores)
    except NoNamespacesError as error:
        print(f"{error} Nothing was proved.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
