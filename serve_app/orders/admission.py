"""Admission: decides which orders of a rebalance may be sent, given earlier orders.

A submission claims its portfolios first, so that no other submission decides about the same
portfolios at the same time. Open orders are looked up at the order service before they block one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from serve_app.observability.events import log_event
from serve_app.orders.open_orders import LOOK_UP_FOR_S, OpenOrdersLookUp
from serve_app.orders.submission_turn import Turn
from serve_app.resources import Resources
from storage.audit.trail import Action
from storage.errors import OrdersOpenError, SupersededError
from storage.orders.order import OpenOrdersRule, Order, OrderState
from storage.rebalances.rebalance import Rebalance

PORTFOLIO_BATCH_SIZE: Final = 500
CANCEL_BATCH_SIZE: Final = 16  # orders between two renewals of the lease: 80 s if all are slow
# A cancellation begins only while this time is left to settle, to look up and to send, because a
# portfolio whose orders are cancelled and not replaced stays as it was before the rebalance.
CANCEL_WITH_S: Final = 150.0
# Pause before an order is read back, because the order service compares no versions: an order under
# submission shows its new status only later.
SETTLE_S: Final = 2.0
MAX_LISTED_PORTFOLIOS: Final = 20


@dataclass(slots=True)
class _BlockingOrders:
    """Portfolios with open orders of other rebalances: the first of them and the totals."""

    listed: list[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])
    portfolios: int = 0
    orders: int = 0

    def add(self, orders_by_portfolio: Mapping[str, Sequence[Order]]) -> None:
        """Count open orders by portfolio."""
        for portfolio_id, orders in orders_by_portfolio.items():
            ids = sorted({order.rebalance_id for order in orders})
            row = {"portfolio_id": portfolio_id, "rebalance_ids": ids, "open_orders": len(orders)}
            self.listed += [row] if len(self.listed) < MAX_LISTED_PORTFOLIOS else []
            self.portfolios += 1
            self.orders += len(orders)

    def make_error(self, rebalance_id: str, cancelled: int = 0) -> OrdersOpenError:
        """Make the error that refuses the submission because of these orders."""
        listed = tuple(self.listed)
        return OrdersOpenError(rebalance_id, listed, self.portfolios, self.orders, cancelled)


class Admission:
    """Decides which pending orders of a rebalance may be sent."""

    def __init__(
        self,
        resources: Resources,
        arrive_within: timedelta,
        settle_s: float = SETTLE_S,
        look_up_for_s: float = LOOK_UP_FOR_S,
    ) -> None:
        self._resources = resources
        self._arrive_within = arrive_within
        self._settle_s = settle_s
        self._look_up_for_s = look_up_for_s

    async def admit(self, rebalance: Rebalance, turn: Turn, open_orders: OpenOrdersRule) -> None:
        """Hold back the orders of a rebalance that may not be sent now.

        Raises HandOverInProgressError, SupersededError or OrdersOpenError if no order may be sent,
        and TurnOverError if the turn ends before the decision.
        """
        look_up = OpenOrdersLookUp(
            self._resources, self._arrive_within, self._look_up_for_s, lambda: turn.left_s > 0
        )
        decision = _Decision(
            self._resources, rebalance, turn, look_up, self._arrive_within, self._settle_s
        )
        pages = await decision.claim_pages()
        await decision.require_latest(pages)
        await self._resources.open_orders.release(rebalance.rebalance_id)
        if open_orders is OpenOrdersRule.REFUSE:
            await decision.require_none_open(pages)
        elif open_orders is OpenOrdersRule.REPLACE:
            await decision.replace(pages)


class _Decision:
    """Decision about one rebalance, a page of portfolios at a time."""

    def __init__(
        self,
        resources: Resources,
        rebalance: Rebalance,
        turn: Turn,
        look_up: OpenOrdersLookUp,
        arrive_within: timedelta,
        settle_s: float,
    ) -> None:
        self._resources = resources
        self._rebalance = rebalance
        self._turn = turn
        self._look_up = look_up
        self._arrive_within = arrive_within
        self._settle_s = settle_s
        self._cancelled = 0

    async def claim_pages(self) -> Sequence[Sequence[str]]:
        """Claim the portfolios with pending orders, so that no other submission sends for them."""
        rebalance_id = self._rebalance.rebalance_id
        ids = await self._resources.open_orders.list_pending_portfolios(rebalance_id)
        size = PORTFOLIO_BATCH_SIZE
        pages = [ids[first : first + size] for first in range(0, len(ids), size)]
        for page in pages:
            await self._turn.begin_step()
            await self._resources.portfolio_claims.take(page, rebalance_id, self._turn.owner)
        return pages

    async def require_latest(self, pages: Sequence[Sequence[str]]) -> None:
        """Raise SupersededError if orders of a later rebalance were sent for a portfolio."""
        rebalance_id, moment = self._rebalance.rebalance_id, self._rebalance.started_at
        later_by_portfolio: dict[str, str] = {}
        for page in pages:
            await self._turn.begin_step()
            later_by_portfolio |= await self._resources.open_orders.find_later_rebalances(
                page, rebalance_id, moment
            )
        if later_by_portfolio:
            first = sorted(later_by_portfolio.items())[:MAX_LISTED_PORTFOLIOS]
            listed = tuple(
                {"portfolio_id": portfolio_id, "rebalance_id": later}
                for portfolio_id, later in first
            )
            raise SupersededError(rebalance_id, listed, len(later_by_portfolio))

    async def require_none_open(self, pages: Sequence[Sequence[str]]) -> None:
        """Raise OrdersOpenError if any of the portfolios has open orders of another rebalance."""
        blocking = _BlockingOrders()
        for page in pages:
            # The look-up ends with the first open order, because the submission is then certain to
            # be refused: later orders are counted as stored.
            open_orders = await self._find_open_orders(page, look_up=not blocking.portfolios)
            blocking.add(open_orders)
        if blocking.portfolios:
            raise blocking.make_error(self._rebalance.rebalance_id)

    async def replace(self, pages: Sequence[Sequence[str]]) -> None:
        """Cancel open orders of other rebalances; hold back portfolios where an order stays open.

        Raises OrdersOpenError if that leaves nothing to send.
        """
        blocking = _BlockingOrders()
        for page in pages:
            blocked = await self._cancel_open(page)
            blocking.add(blocked)
            if blocked:
                await self._resources.open_orders.hold(self._rebalance.rebalance_id, list(blocked))
        if blocking.portfolios and blocking.portfolios == sum(map(len, pages)):
            raise blocking.make_error(self._rebalance.rebalance_id, self._cancelled)

    async def _cancel_open(self, page: Sequence[str]) -> dict[str, list[Order]]:
        """Cancel the open orders of these portfolios; return the orders that stay open."""
        open_orders = await self._find_open_orders(page, look_up=True)
        all_orders = [order for orders in open_orders.values() for order in orders]
        sent_orders = [
            order for order in all_orders if order.state is OrderState.SENT and order.order_id
        ]
        requested = set[str]()
        for first in range(0, len(sent_orders), CANCEL_BATCH_SIZE):
            if self._turn.left_s < CANCEL_WITH_S:
                break
            batch = sent_orders[first : first + CANCEL_BATCH_SIZE]
            ids = [order.order_id for order in batch if order.order_id]
            await self._turn.announce(Action.ORDERS_CANCELLED, {"order_ids": ids})
            await self._resources.order_service.cancel(ids)
            log_event(Action.ORDERS_CANCELLED, self._turn.rebalance_id, orders=len(ids))
            requested.update(order.key for order in batch)
        if not requested:
            return open_orders
        await asyncio.sleep(self._settle_s)
        # The look-up happens even if the caller has left, because an unrecorded cancellation would
        # keep blocking the portfolio.
        await self._turn.keep()
        await OpenOrdersLookUp(self._resources, self._arrive_within).look_up(all_orders)
        remaining_orders = await self._read_stored_orders(page)
        open_still = {order.key for orders in remaining_orders.values() for order in orders}
        self._cancelled += len(requested - open_still)
        return remaining_orders

    async def _find_open_orders(self, page: Sequence[str], look_up: bool) -> dict[str, list[Order]]:
        """Find open orders of other rebalances by portfolio; look them up first if ``look_up``."""
        await self._turn.begin_step()
        open_orders = await self._read_stored_orders(page)
        if open_orders and look_up:
            await self._look_up.look_up(
                order for orders in open_orders.values() for order in orders
            )
            open_orders = await self._read_stored_orders(page)
        return open_orders

    async def _read_stored_orders(self, page: Sequence[str]) -> dict[str, list[Order]]:
        """Find open orders of other rebalances by portfolio, as they are stored."""
        orders_by_portfolio = defaultdict[str, list[Order]](list)
        for order in await self._resources.open_orders.list_orders(
            page, except_rebalance_id=self._rebalance.rebalance_id
        ):
            orders_by_portfolio[order.portfolio_id].append(order)
        return orders_by_portfolio
