"""Runs of web processes and workers go on while sentinels make a replica the master."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.integration.execution.deployments import AGUI, PATIENCE, Deployment
from tests.integration.stores.sentinels import Watched
from tests.support.agui_client import connect, run, run_input, types_of, user
from tests.support.echo_agent import EchoProvider
from tests.support.polling import until


async def test_runs_go_on_while_sentinels_make_a_replica_the_master(server_folder: Path) -> None:
    watched, provider = Watched(server_folder / "sentinels"), EchoProvider()
    async with watched.running(), AsyncExitStack() as stack:
        deployment = Deployment(watched.url, stack)
        _, client = await deployment.both(provider)
        await run(client, "echo", run_input(user("hello"), thread="before"))
        running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread="during", run="d")))
        await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
        await asyncio.to_thread(watched.first.kill)

        async def failed_over() -> bool:
            return await watched.master() == watched.second.port

        await until(failed_over, PATIENCE)

        async def again() -> bool:
            answer = await client.post(f"{AGUI}/echo/run", json=run_input(user("hello"), thread="after", run="a"))
            return "RUN_FINISHED" in answer.text

        await until(again, PATIENCE)

        async def stopped() -> bool:
            return bool((await client.post(f"{AGUI}/patient/stop/during")).json().get("stopped"))

        await until(stopped, PATIENCE)
        assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_FINISHED"
        for thread in ("before", "during", "after"):
            shown = types_of(await connect(client, "echo", thread))
            assert shown[-1] == "RUN_FINISHED"
            assert "TEXT_MESSAGE_CONTENT" in shown
