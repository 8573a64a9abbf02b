"""Portfolios: their names, and whether they exist."""

import re

from async_lru import alru_cache

from serve_app.upstream.client import Client, UpstreamHealth
from serve_app.upstream.exact import text
from serve_app.upstream.policy import Policy

POLICY = Policy(total_s=5.0, concurrency=8)
HEALTH = "/health/ready"
TTL_S = 300.0
# the service answers 500 instead of 404 for an id that is not an ObjectId
OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")


class Portfolios:
    """The portfolio service."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known = alru_cache(maxsize=10_000, ttl=TTL_S)(self._read)

    async def name(self, portfolio_id: str) -> str | None:
        """The name of a portfolio, None where there is no such portfolio."""
        if OBJECT_ID.fullmatch(portfolio_id) is None:
            return None
        return await self._known(portfolio_id)

    async def exists(self, portfolio_id: str) -> bool:
        """Whether there is such a portfolio."""
        return await self.name(portfolio_id) is not None

    async def health(self) -> UpstreamHealth:
        """Ask whether the service is ready."""
        return await self._client.health(HEALTH)

    async def _read(self, portfolio_id: str) -> str | None:
        path = f"/api/v1/portfolio/{portfolio_id}"
        response = await self._client.get(path, accept=frozenset({200, 404}))
        row = self._client.parsed(response)  # a 404 that is not JSON is not the service's own
        if response.status_code == 404:
            return None
        with self._client.reading("a portfolio"):
            return text(row["name"])
