"""Polls of runs until they end, and readers of their event streams."""

import asyncio
import json
from typing import Any

import httpx

OVER = {"COMPLETED", "CANCELLED", "STOPPED"}
WITHIN_S = 60.0


async def wait_until_over(client: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    """Poll a run until it is over, and return the run."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            answer = await client.get(f"/api/v1/runs/{run_id}")
            if answer.status_code != 503:
                assert answer.status_code == 200, answer.text
                if answer.json()["status"] in OVER:
                    return answer.json()
            await asyncio.sleep(0.05)


def parse_events(text: str) -> list[tuple[str, str | None, Any]]:
    """Parse server-sent events into kind, id and data; comments are dropped."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            events.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return events
