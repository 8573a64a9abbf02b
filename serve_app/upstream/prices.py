"""Prices: one snapshot of all prices, which serves a whole run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from async_lru import alru_cache

from serve_app.upstream.exact_values import read_decimal, read_objects, read_text
from serve_app.upstream.http_client import Client, UpstreamHealth
from serve_app.upstream.retry_policy import Policy

POLICY = Policy(total_s=5.0, max_answer_bytes=16_000_000)  # an answer has every price
HEALTH = "/actuator/health/readiness"


@dataclass(frozen=True, slots=True)
class PriceSnapshot:
    """Prices by ticker, sampled at one moment."""

    snapshot_id: str
    taken_at: datetime
    prices: Mapping[str, Decimal]


class PricingService:
    """Pricing service, which draws a new random price for every answer.

    Runs share a snapshot for ``ttl_s``. Replicas have different snapshots, so a run keeps the one
    that it took first for all its decisions.
    """

    def __init__(self, client: Client, ttl_s: float) -> None:
        self._client = client
        self._latest = alru_cache(maxsize=1, ttl=ttl_s)(self._request_snapshot)

    async def read_snapshot(self) -> PriceSnapshot:
        """Return the shared snapshot, or a new one."""
        return await self._latest()

    async def check_health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        return await self._client.check_health(HEALTH)

    async def _request_snapshot(self) -> PriceSnapshot:
        rows = await self._client.get_json("/api/v1/prices")
        with self._client.translate_read_errors("a price"):
            prices = _index_by_ticker(rows)
        return PriceSnapshot(uuid4().hex, datetime.now(UTC), prices)


def _index_by_ticker(rows: Any) -> dict[str, Decimal]:
    prices: dict[str, Decimal] = {}
    for row in read_objects(rows):
        price = read_decimal(row["close"])
        # The first row of a ticker counts, because the service's own look-up takes it, too.
        if price > 0:
            prices.setdefault(read_text(row["ticker"]), price)
    return prices
