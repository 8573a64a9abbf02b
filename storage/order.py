"""Order: one transaction of a rebalance on its way to the order service, and its document.

An order is open from the moment it goes out until the order service says that it is filled or cancelled,
or until it is certain not to have arrived. A failed one is open until it is looked up, because the order
service calls an order failed that it saved.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from optimization import Side
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import MAX_INT64, exact
from storage.outcomes import result_id


class OrderState(StrEnum):
    """Where an order stands."""

    PENDING = "PENDING"  # it is not at the order service and may be sent
    SENDING = "SENDING"  # claimed for a request; should its process die, nobody knows the rest
    SENT = "SENT"  # the order service has it; final
    FAILED = "FAILED"  # the order service says that it was refused
    UNKNOWN = "UNKNOWN"  # a request with it went out and the answer does not say what became of it


class OpenOrdersRule(StrEnum):
    """What a hand-over does about open orders of other rebalances of its portfolios."""

    REFUSE = "REFUSE"  # send nothing
    ADD = "ADD"  # send on top of them
    REPLACE = "REPLACE"  # cancel them, and send for those portfolios whose orders all were


IN_DOUBT: Final = (OrderState.SENDING, OrderState.UNKNOWN)
UNSETTLED: Final = (*IN_DOUBT, OrderState.FAILED)


@dataclass(frozen=True, slots=True)
class Order:
    """One transaction; ``place`` is the portfolio's in the rebalance, which began at ``rebalanced_at``.

    ``timestamp`` is that of the batch it went out with last, which no other batch has. ``service_status``
    is the abbreviation of the status that the order service gave last.
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
        """The id that makes it the same order however often it is made."""
        return f"{result_id(self.rebalance_id, self.place)}:{self.security_id}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders claimed for one request."""

    rebalance_id: str
    claim: str
    timestamp: datetime
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of an order of a batch."""

    state: OrderState
    order_id: int | None = None
    message: str | None = None


def place_of(key: str) -> int:
    """The place of a portfolio in its rebalance, from the key of one of its orders."""
    return int(key[25:32])


def order_document(order: Order) -> Document:
    """What is stored of an order that was never sent."""
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


def order_from(document: Document) -> Order:
    """The order a document holds."""
    quantity = document["quantity"]
    return Order(
        rebalance_id=document["rebalance_id"],
        place=place_of(document["_id"]),
        portfolio_id=document["portfolio_id"],
        security_id=document["security_id"],
        side=Side(document["side"]),
        quantity=quantity if isinstance(quantity, int) else exact(quantity),
        state=OrderState(document["state"]),
        order_id=document.get("order_id"),
        message=document.get("message"),
        rebalanced_at=document["rebalanced_at"],
        timestamp=document.get("timestamp"),
        is_open=document.get("open", False),
        service_status=document.get("service_status"),
    )
