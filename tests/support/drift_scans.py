"""Polls of a drift scan until it ends."""

import asyncio
from typing import Any

import httpx

WITHIN_S = 60


async def wait_until_measured(client: httpx.AsyncClient, scan_id: str) -> dict[str, Any]:
    """Poll a scan until it is over, and return the scan."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            answer = await client.get(f"/api/v1/drift-scans/{scan_id}")
            assert answer.status_code == 200, answer.text
            if answer.json()["status"] != "RUNNING":
                return answer.json()
            await asyncio.sleep(0.02)
