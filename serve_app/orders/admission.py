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
CANCEL_BATCH_SIZE: Final = 16  # cancelled between two renewals of the lease: 80 s if each is slow
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

    def add(self, found: Mapping[str, Sequence[Order]]) -> None:
        """Count open orders by portfolio."""
        for portfolio_id, orders in found.items():
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
        first = OpenOrdersLookUp(
            self._resources, self._arrive_within, self._look_up_for_s, lambda: turn.left_s > 0
        )
        one = _Decision(
            self._resources, rebalance, turn, first, self._arrive_within, self._settle_s
        )
        pages = await one.claim_pages()
        await one.require_latest(pages)
        await self._resources.open_orders.release(rebalance.rebalance_id)
        if open_orders is OpenOrdersRule.REFUSE:
            await one.require_none_open(pages)
        elif open_orders is OpenOrdersRule.REPLACE:
            await one.replace(pages)


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
            await self._turn.go_on()
            await self._resources.portfolio_claims.take(page, rebalance_id, self._turn.owner)
        return pages

    async def require_latest(self, pages: Sequence[Sequence[str]]) -> None:
        """Raise SupersededError if orders of a later rebalance were sent for a portfolio."""
        rebalance_id, moment = self._rebalance.rebalance_id, self._rebalance.started_at
        found: dict[str, str] = {}
        for page in pages:
            await self._turn.go_on()
            found |= await self._resources.open_orders.find_later_rebalances(
                page, rebalance_id, moment
            )
        if found:
            first = sorted(found.items())[:MAX_LISTED_PORTFOLIOS]
            listed = tuple({"portfolio_id": each, "rebalance_id": later} for each, later in first)
            raise SupersededError(rebalance_id, listed, len(found))

    async def require_none_open(self, pages: Sequence[Sequence[str]]) -> None:
        """Raise OrdersOpenError if any of the portfolios has open orders of another rebalance."""
        blocking = _BlockingOrders()
        for page in pages:
            # Looked up only until one is found, because the submission is then certain to be
            # refused: the rest is counted as stored.
            found = await self._open(page, look_up=not blocking.portfolios)
            blocking.add(found)
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
        found = await self._open(page, look_up=True)
        wanted = [order for orders in found.values() for order in orders]
        sent = [one for one in wanted if one.state is OrderState.SENT and one.order_id]
        requested = set[str]()
        for first in range(0, len(sent), CANCEL_BATCH_SIZE):
            if self._turn.left_s < CANCEL_WITH_S:
                break
            some = sent[first : first + CANCEL_BATCH_SIZE]
            ids = [one.order_id for one in some if one.order_id]
            await self._turn.announce(Action.ORDERS_CANCELLED, {"order_ids": ids})
            await self._resources.order_service.cancel(ids)
            log_event(Action.ORDERS_CANCELLED, self._turn.rebalance_id, orders=len(ids))
            requested.update(one.key for one in some)
        if not requested:
            return found
        await asyncio.sleep(self._settle_s)
        # Looked up even if the caller has left, because an unrecorded cancellation would keep
        # blocking the portfolio.
        await self._turn.keep()
        await OpenOrdersLookUp(self._resources, self._arrive_within).look_up(wanted)
        left = await self._stored_open(page)
        open_still = {one.key for orders in left.values() for one in orders}
        self._cancelled += len(requested - open_still)
        return left

    async def _open(self, page: Sequence[str], look_up: bool) -> dict[str, list[Order]]:
        """Find open orders of other rebalances by portfolio; look them up first if ``look_up``."""
        await self._turn.go_on()
        found = await self._stored_open(page)
        if found and look_up:
            await self._look_up.look_up(order for orders in found.values() for order in orders)
            found = await self._stored_open(page)
        return found

    async def _stored_open(self, page: Sequence[str]) -> dict[str, list[Order]]:
        """Find open orders of other rebalances by portfolio, as they are stored."""
        found = defaultdict[str, list[Order]](list)
        for order in await self._resources.open_orders.list_orders(
            page, except_rebalance_id=self._rebalance.rebalance_id
        ):
            found[order.portfolio_id].append(order)
        return found
