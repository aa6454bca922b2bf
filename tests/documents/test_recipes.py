"""The recipes' logins: what their commands cannot show."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.documents.blocks import BLOCKS, ROOT
from tests.documents.checks import speaks
from tests.documents.reader import environment, lay_out, on_any_port, serving, shell

DJANGO = ROOT / "docs" / "recipes" / "django.md"

pytestmark = pytest.mark.timeout(300)


async def test_a_user_of_django_runs_the_agent_until_they_log_out(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.document == DJANGO and block.serves]
    lay_out(tmp_path, block)
    command = shell(on_any_port(block.text), tmp_path)
    async with (
        serving(command, tmp_path, environment(), tmp_path) as server,
        httpx.AsyncClient(base_url=server.url, timeout=40) as client,
    ):
        assert (await client.get("enter/ann")).text == "Hello ann"
        await speaks(client, f"{server.url}/api/copilotkit", "shop")
        client.cookies["sessionid"] = "made-up"
        refused = await client.post("api/copilotkit", json={"query": "{ hello }"})
        assert refused.status_code == httpx.codes.UNAUTHORIZED
