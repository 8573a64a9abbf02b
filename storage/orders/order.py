"""Order: one transaction of a rebalance for the order service, and its document.

An order is open from the moment it is sent until the order service reports it filled or cancelled,
or until it is certain that the order did not arrive. A failed order is open until it is looked up,
because the order service may report a saved order as failed.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from optimization import Side
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import MAX_INT64, decode_decimal
from storage.rebalances.outcomes import build_outcome_id, parse_ordinal


class OrderState(StrEnum):
    """State of an order on its way to the order service."""

    PENDING = "PENDING"  # the order service does not have it; may be sent
    SENDING = "SENDING"  # claimed for a request; in doubt if the process dies
    SENT = "SENT"  # the order service has it; final
    FAILED = "FAILED"  # refused by the order service
    UNKNOWN = "UNKNOWN"  # sent, but the response does not tell the outcome


class OpenOrdersRule(StrEnum):
    """Treatment of open orders of other rebalances of the portfolios in a hand-over."""

    REFUSE = "REFUSE"  # send nothing
    ADD = "ADD"  # send in addition to the open orders
    # cancel open orders; send for portfolios whose open orders all were cancelled
    REPLACE = "REPLACE"


IN_DOUBT: Final = (OrderState.SENDING, OrderState.UNKNOWN)
UNSETTLED: Final = (*IN_DOUBT, OrderState.FAILED)


@dataclass(frozen=True, slots=True)
class Order:
    """Transaction of a rebalance that began at ``rebalanced_at``, as an order.

    ``place`` is the ordinal of the portfolio in the rebalance. ``timestamp`` identifies the batch
    that last sent the order. ``service_status`` abbreviates the last status at the order service.
    """

    rebalance_id: str
    place: int
    portfolio_id: str
    security_id: str
    side: Side
    quantity: int | Decimal
    rebalanced_at: datetime
    state: OrderState = OrderState.PENDING
    order_id: int | None = None
    message: str | None = None
    timestamp: datetime | None = None
    is_open: bool = False
    service_status: str | None = None

    @property
    def key(self) -> str:
        """The deterministic id of the order, which makes a repeated write harmless."""
        return f"{build_outcome_id(self.rebalance_id, self.place)}:{self.security_id}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders claimed for one request."""

    rebalance_id: str
    claim: str
    timestamp: datetime
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """Outcome of one order of a batch."""

    state: OrderState
    order_id: int | None = None
    message: str | None = None


def encode_order(order: Order) -> Document:
    """Convert an order that was never sent to a document."""
    shares = int(order.quantity)
    small = shares == order.quantity and shares <= MAX_INT64
    return {
        "_id": order.key,
        "rebalance_id": order.rebalance_id,
        "portfolio_id": order.portfolio_id,
        "security_id": order.security_id,
        "side": order.side.value,
        "quantity": shares if small else Decimal(order.quantity),
        "rebalanced_at": order.rebalanced_at,
        "state": OrderState.PENDING.value,
        "attempts": 0,
    }


def decode_order(document: Document) -> Order:
    """Convert a document to an order."""
    quantity = document["quantity"]
    return Order(
        rebalance_id=document["rebalance_id"],
        place=parse_ordinal(document["_id"]),
        portfolio_id=document["portfolio_id"],
        security_id=document["security_id"],
        side=Side(document["side"]),
        quantity=quantity if isinstance(quantity, int) else decode_decimal(quantity),
        state=OrderState(document["state"]),
        order_id=document.get("order_id"),
        message=document.get("message"),
        rebalanced_at=document["rebalanced_at"],
        timestamp=document.get("timestamp"),
        is_open=document.get("open", False),
        service_status=document.get("service_status"),
    )
