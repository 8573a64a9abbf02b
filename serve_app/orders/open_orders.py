"""Open orders: sent orders not known to be filled or cancelled, looked up at the order service."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from serve_app.concurrency import for_each
from serve_app.resources import Resources
from serve_app.upstream.order_service import NEW, OVER, REMOVED, Placed
from storage.orders.order import Order, OrderState

# A request ends at most 60 s after its claim; the order service may work on it for another 180 s.
ARRIVE_WITHIN: Final = timedelta(seconds=240)
LOOK_UP_FOR_S: Final = 60.0
MAX_CONCURRENT_LOOK_UPS: Final = 4

Batch = tuple[str, datetime]
"""Rebalance and timestamp of the orders sent in one request."""
Natural = tuple[str, str]
"""Portfolio and security, the natural key of an order within a batch."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Orders of a batch at the order service, and the number that the reading settled here."""

    placed_orders: Mapping[Natural, Placed]
    settled: int


async def read_back(resources: Resources, batch: Batch) -> ReadBack:
    """Settle the unsettled orders of a batch by what the order service has.

    Orders it has are marked as sent; failed orders it lacks are closed.
    """
    rebalance_id, timestamp = batch
    # The database is read before the order service, because an order that fails in between may
    # also have been saved in between.
    unsettled = await resources.orders.list_unsettled(rebalance_id, timestamp)
    placed_orders = await resources.order_service.read_placed(timestamp)
    order_ids = {
        order.key: placed_orders[_derive_key(order)].order_id
        for order in unsettled
        if _derive_key(order) in placed_orders
    }
    failed_keys = [order.key for order in unsettled if order.state is OrderState.FAILED]
    await resources.orders.mark_found(timestamp, order_ids)
    await resources.orders.close_failed(
        timestamp, [key for key in failed_keys if key not in order_ids]
    )
    return ReadBack(placed_orders, len(order_ids))


async def look_up_batch(
    resources: Resources, batch: Batch, arrive_within: timedelta, *, failed: bool = True
) -> ReadBack:
    """Settle a batch by what the order service has; release orders that can no longer arrive.

    Released orders may be sent again. Without ``failed``, refused orders stay as they are.
    """
    # The limit is computed first, because an order may arrive after the order service responds.
    before = datetime.now(UTC) - arrive_within
    reading = await read_back(resources, batch)
    await resources.orders.allow_again(*batch, before, failed=failed)
    return reading


class OpenOrdersLookUp:
    """Look-up of open orders for one request; each batch is looked up once."""

    def __init__(
        self,
        resources: Resources,
        arrive_within: timedelta = ARRIVE_WITHIN,
        within_s: float = LOOK_UP_FOR_S,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._resources = resources
        self._arrive_within = arrive_within
        self._until = time.monotonic() + within_s
        self._is_wanted = is_wanted
        self._done = set[Batch]()

    async def look_up(self, orders: Iterable[Order]) -> bool:
        """Look up the batches of these orders and store the result; False if time ran out.

        Raises UpstreamUnavailableError if the order service does not respond.
        """
        batches: dict[Batch, set[str]] = {}
        for order in orders:
            if order.timestamp is not None:
                key = (order.rebalance_id, order.timestamp)
                batches.setdefault(key, set()).add(order.portfolio_id)
        remaining_batches = sorted(batches.keys() - self._done)

        async def look_up(batch: Batch) -> None:
            if self._is_wanted() and time.monotonic() <= self._until:
                await self._look_up(batch, batches[batch])
                self._done.add(batch)

        await for_each(remaining_batches, look_up, MAX_CONCURRENT_LOOK_UPS)
        return self._done.issuperset(batches)

    async def _look_up(self, batch: Batch, portfolio_ids: set[str]) -> None:
        placed_orders = (
            await look_up_batch(self._resources, batch, self._arrive_within, failed=False)
        ).placed_orders
        await self._mark(
            batch,
            portfolio_ids | {portfolio_id for portfolio_id, _ in placed_orders},
            placed_orders,
        )

    async def _mark(
        self, batch: Batch, portfolio_ids: set[str], placed_orders: Mapping[Natural, Placed]
    ) -> None:
        rebalance_id, timestamp = batch
        stored_orders = await self._resources.open_orders.list_orders(
            sorted(portfolio_ids), rebalance_id=rebalance_id
        )
        sent_orders = [
            order
            for order in stored_orders
            if order.timestamp == timestamp and order.state is OrderState.SENT
        ]
        statuses = {order.key: _read_status(order, placed_orders) for order in sent_orders}
        known_statuses = {key: status for key, status in statuses.items() if status is not None}
        closed_keys = {key for key, status in known_statuses.items() if status in OVER}
        await self._resources.open_orders.mark(known_statuses, closed_keys)


def _derive_key(order: Order) -> Natural:
    return order.portfolio_id, order.security_id


def _read_status(order: Order, placed_orders: Mapping[Natural, Placed]) -> str | None:
    """Return the status of a sent order; an order that vanished while NEW was removed untraded.

    None for an order that vanished before its first look-up, because it may have been submitted.
    """
    placed_order = placed_orders.get(_derive_key(order))
    if placed_order is not None:
        return placed_order.status
    return REMOVED if order.service_status == NEW else order.service_status
