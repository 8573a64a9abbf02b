"""Transactions of a rebalance, and the orders made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from serve_app.client.responses.positions import Side

OrderState = Literal["PENDING", "SENDING", "SENT", "FAILED", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class TransactionLine:
    """One transaction of a stored rebalance, with the price that it was planned at."""

    rebalance_id: str
    portfolio_id: str
    security_id: str
    transaction_type: Side
    quantity: Decimal
    price: Decimal
    amount: Decimal
    trade_date: date
    blocked_by: tuple[str, ...] = ()  # rules that hold the orders of the portfolio back
    warned_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order and its state."""

    portfolio_id: str
    security_id: str
    transaction_type: Side
    quantity: Decimal
    status: OrderState
    order_id: int | None
    message: str | None
    order_timestamp: datetime | None
    service_status: str | None


@dataclass(frozen=True, slots=True)
class OrderOfRebalance(OrderLine):
    """One order, with the id and the time of its rebalance."""

    rebalance_id: str
    rebalance_date: datetime


@dataclass(frozen=True, slots=True)
class OrderSubmission:
    """The orders of a rebalance: COMPLETE when all are SENT, NOT_SENT while none went out."""

    rebalance_id: str
    status: Literal["COMPLETE", "PARTIAL", "NOT_SENT"]
    number_of_transactions: int
    number_of_orders: int
    counts: Mapping[OrderState, int]
    orders: tuple[OrderLine, ...]
