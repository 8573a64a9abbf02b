"""Port of the submission of orders to the order service."""

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

from serve_app.ports.port import repeatable
from storage.orders.order import OpenOrdersRule, Order, OrderState
from storage.orders.submission_store import OrderSubmission


class OrderSubmissions(Protocol):
    """Orders of a rebalance, from its transactions to the order service."""

    @abstractmethod
    async def submit_orders(
        self, rebalance_id: str, open_orders: OpenOrdersRule, limit: int
    ) -> OrderSubmission:
        """Send the orders that the order service lacks; return all states and ``limit`` orders."""
        ...

    @repeatable
    @abstractmethod
    async def list_orders(
        self, states: tuple[OrderState, ...], since: datetime | None, offset: int, limit: int
    ) -> tuple[tuple[Order, ...], int]:
        """Return one page of the orders in these states, and the number of all such orders."""
        ...

    @repeatable
    @abstractmethod
    async def read_submission(
        self, rebalance_id: str, offset: int, limit: int, states: tuple[OrderState, ...] = ()
    ) -> OrderSubmission:
        """Return all states and one page of the orders, or of the orders in some states."""
        ...
