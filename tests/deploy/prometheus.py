"""A real Prometheus with the repository's rules, which watches a server of the test."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml  # type: ignore[import-untyped]

from tests.deploy.tools import DEPLOY, program
from tests.support.ports import free_port

PATIENCE = 60.0


class Prometheus:
    """What a Prometheus has gathered.

    Args:
        url: Where it answers.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of the API; None while it does not answer."""
        try:
            answer = self._http.get(f"/api/v1/{path}", params=parameters)
        except httpx.TransportError:
            return None
        assert answer.status_code in (200, 503), answer.text
        return answer.json()["data"] if answer.status_code == 200 else None

    def series(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now, without what is not a number."""
        found: list[dict[str, Any]] = (self.get("query", query=expression) or {"result": []})["result"]
        return [one for one in found if one["value"][1] != "NaN"]

    def await_series(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives, once it gives something.

        Raises:
            TimeoutError: It never does.
        """
        deadline = time.monotonic() + PATIENCE
        while not (found := self.series(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no data: {expression}")
            time.sleep(0.5)
        return found

    def close(self) -> None:
        """Close the connections to it."""
        self._http.close()


@contextmanager
def watching(folder: Path, target: str, key: str) -> Iterator[Prometheus]:
    """Have a Prometheus watch ``target`` every second, in all else as ``deploy/prometheus`` says."""
    shutil.copytree(DEPLOY / "prometheus", folder, dirs_exist_ok=True)
    settings = yaml.safe_load((folder / "prometheus.yml").read_text())
    settings["global"] = dict.fromkeys(settings["global"], "1s")
    [job] = settings["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["runtime:8000"]}]
    job["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    (folder / job["authorization"]["credentials_file"]).write_text(key)
    address = f"127.0.0.1:{free_port()}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={address}",
            ],
            stderr=log,
            stdout=log,
        )
    prometheus = Prometheus(f"http://{address}")
    try:
        yield prometheus
    finally:
        prometheus.close()
        process.terminate()
        process.wait(20)
