"""Securities: the tickers of security ids."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from async_lru import alru_cache

from serve_app.upstream.client import Client
from serve_app.upstream.errors import UpstreamContractError
from serve_app.upstream.gather import for_each
from serve_app.upstream.policy import Policy

POLICY = Policy(total_s=5.0, concurrency=8)
HEALTH = "/health/readiness"
PAGE = 1000
ALL_TTL_S = 3600.0
SINGLE_TTL_S = 60.0
# v1 answers 500 instead of 404 for an id that is not an ObjectId.
OBJECT_ID = re.compile(r"[0-9a-f]{24}")


class Securities:
    """The security service: all securities at once, the ones it lacks one by one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._all = alru_cache(maxsize=1, ttl=ALL_TTL_S)(self._read_all)
        # also remembers for a minute that there is no such security
        self._single = alru_cache(maxsize=10_000, ttl=SINGLE_TTL_S)(self._read_single)

    async def tickers(self, security_ids: Iterable[str]) -> Mapping[str, str]:
        """Ticker by security id; ids that no security has are left out."""
        wanted = frozenset(security_ids)
        known = await self._all()
        found = {security: known[security] for security in wanted & known.keys()}

        async def look_up(security_id: str) -> None:
            ticker = await self._single(security_id)
            if ticker is not None:
                found[security_id] = ticker

        unknown = sorted(filter(OBJECT_ID.fullmatch, wanted - known.keys()))
        if unknown and self._client.probes_next:
            # beside the probe the others would be refused, which would end the probe with them
            await look_up(unknown.pop())
        await for_each(unknown, look_up, self._client.policy.concurrency)
        return found

    async def reachable(self) -> None:
        """Raise if the service is not ready."""
        await self._client.reachable(HEALTH)

    async def _read_all(self) -> dict[str, str]:
        known: dict[str, str] = {}
        offset = 0
        more = True
        while more:
            params = {"limit": PAGE, "offset": offset}
            answer = await self._client.json("/api/v2/securities", params)
            rows, more = self._page(answer)
            known.update(rows)
            offset += PAGE
            more = more and bool(rows)
        return known

    async def _read_single(self, security_id: str) -> str | None:
        path = f"/api/v1/security/{security_id}"
        response = await self._client.get(path, accept=frozenset({200, 404}))
        if response.status_code == 404:
            return None
        row = self._client.parsed(response)
        try:
            return row["ticker"] if row["securityId"] == security_id else None
        except (KeyError, TypeError) as error:
            raise self._broken(error) from error

    def _page(self, answer: Any) -> tuple[dict[str, str], bool]:
        try:
            rows = {row["securityId"]: row["ticker"] for row in answer["securities"]}
            return rows, bool(answer["pagination"]["hasNext"])
        except (KeyError, TypeError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> UpstreamContractError:
        return UpstreamContractError(
            self._client.upstream, f"a security could not be read ({error!r})"
        )
