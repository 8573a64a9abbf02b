"""Open orders: what was sent for a portfolio and is not known to be filled or cancelled, looked up where it is known."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from serve_app.resources import Resources
from serve_app.upstream.gather import for_each
from serve_app.upstream.orders import NEW, OVER, REMOVED, Placed
from storage.orders import Order, OrderState

# A request is over 60 s after its claim went out; the order service needs up to 180 s to calm down.
ARRIVE_WITHIN: Final = timedelta(seconds=240)
LOOK_UP_FOR_S: Final = 60.0
BATCHES_AT_ONCE: Final = 4

Batch = tuple[str, datetime]
"""Rebalance and timestamp of the orders that went out in one request."""
Natural = tuple[str, str]
"""Portfolio and security: within a batch they name one order."""


class OpenOrdersLookUp:
    """Asks the order service what became of open orders, for one request: every batch once."""

    def __init__(
        self,
        resources: Resources,
        arrive_within: timedelta = ARRIVE_WITHIN,
        within_s: float = LOOK_UP_FOR_S,
    ) -> None:
        self._with = resources
        self._arrive_within = arrive_within
        self._until = time.monotonic() + within_s
        self._done = set[Batch]()

    async def look_up(self, orders: Iterable[Order], again: bool = False) -> bool:
        """Look up the batches of these orders and store what is known; whether there was time for all.

        UpstreamUnavailableError where the order service does not answer.
        """
        batches: dict[Batch, set[str]] = {}
        for order in orders:
            if order.timestamp is not None:
                key = (order.rebalance_id, order.timestamp)
                batches.setdefault(key, set()).add(order.portfolio_id)
        if not again:
            batches = {batch: ids for batch, ids in batches.items() if batch not in self._done}

        async def look_up(batch: Batch) -> None:
            if time.monotonic() <= self._until:
                await self._look_up(batch, batches[batch])
                self._done.add(batch)

        await for_each(sorted(batches), look_up, BATCHES_AT_ONCE)
        return self._done.issuperset(batches)

    async def _look_up(self, batch: Batch, portfolio_ids: set[str]) -> None:
        rebalance_id, timestamp = batch
        orders = self._with.orders
        before = datetime.now(UTC) - self._arrive_within  # taken first: none arrives later
        there = await self._with.order_service.placed(timestamp)
        unsettled = await orders.unsettled(rebalance_id, timestamp)
        keyed = ((order.key, (order.portfolio_id, order.security_id)) for order in unsettled)
        found = {key: there[natural].order_id for key, natural in keyed if natural in there}
        await orders.found(timestamp, found)
        await orders.allow_again(rebalance_id, timestamp, before, failed=False)
        await self._mark(batch, portfolio_ids | {portfolio_id for portfolio_id, _ in there}, there)

    async def _mark(
        self, batch: Batch, portfolio_ids: set[str], there: Mapping[Natural, Placed]
    ) -> None:
        rebalance_id, timestamp = batch
        stored = await self._with.open_orders.of_portfolios(sorted(portfolio_ids), of=rebalance_id)
        sent = [
            order
            for order in stored
            if order.timestamp == timestamp and order.state is OrderState.SENT
        ]
        statuses = {order.key: _status(order, there) for order in sent}
        closed = {key for key, status in statuses.items() if status in OVER}
        await self._with.open_orders.mark(statuses, closed)


def _status(order: Order, there: Mapping[Natural, Placed]) -> str:
    """The status of an order that was sent; one that is gone was never traded if it was NEW before."""
    placed = there.get((order.portfolio_id, order.security_id))
    if placed is not None:
        return placed.status
    before = order.service_status or NEW
    return REMOVED if before == NEW else before
