"""Prices: one snapshot of all prices, which a run keeps from its begin to its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from async_lru import alru_cache

from serve_app.upstream.exact_values import exact, objects, text
from serve_app.upstream.http_client import Client, UpstreamHealth
from serve_app.upstream.retry_policy import Policy

POLICY = Policy(total_s=5.0, max_answer_bytes=16_000_000)  # an answer has every price
HEALTH = "/actuator/health/readiness"


@dataclass(frozen=True, slots=True)
class PriceSnapshot:
    """Prices by ticker, as they were sampled at one moment."""

    snapshot_id: str
    taken_at: datetime
    prices: Mapping[str, Decimal]


class Prices:
    """The pricing service, which draws a new random price for every answer.

    Between runs a snapshot is shared for ``ttl_s``; two replicas still see different ones, so
    whoever takes a snapshot keeps it for all it has to decide.
    """

    def __init__(self, client: Client, ttl_s: float) -> None:
        self._client = client
        self._latest = alru_cache(maxsize=1, ttl=ttl_s)(self._taken)

    async def snapshot(self) -> PriceSnapshot:
        """The shared snapshot, or a new one."""
        return await self._latest()

    async def health(self) -> UpstreamHealth:
        """Ask whether the service is ready."""
        return await self._client.health(HEALTH)

    async def _taken(self) -> PriceSnapshot:
        rows = await self._client.json("/api/v1/prices")
        with self._client.reading("a price"):
            prices = _by_ticker(rows)
        return PriceSnapshot(uuid4().hex, datetime.now(UTC), prices)


def _by_ticker(rows: Any) -> dict[str, Decimal]:
    prices: dict[str, Decimal] = {}
    for row in objects(rows):
        price = exact(row["close"])
        # the service's own look-up of one ticker takes the first row, too
        if price > 0:
            prices.setdefault(text(row["ticker"]), price)
    return prices
