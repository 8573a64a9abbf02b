"""Orders of a rebalance as they are handed over: counts by state, and one line for each order."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from optimization import Side
from serve_app.api.schemas.fields import (
    DocumentedAs,
    InstantText,
    JsonNumber,
    ObjectIdentifier,
)
from serve_app.api.schemas.stored_fields import Identifier
from serve_app.json_text import write_number
from storage.instants import format_instant
from storage.orders.order import OpenOrdersRule, Order, OrderState
from storage.orders.submission_store import OrderSubmission, SubmissionStatus


class HandOverBody(BaseModel):
    """Options of a hand-over."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"open_orders": "REPLACE"}]}
    )

    open_orders: Annotated[
        OpenOrdersRule,
        Field(
            description="how to treat open orders of other rebalances of the same portfolios: "
            "send nothing, send in addition, or cancel them first"
        ),
    ] = OpenOrdersRule.REFUSE


class OrderLine(TypedDict):
    """One order; ``message`` is the last answer of the order service, or why there is none."""

    portfolio_id: Identifier
    security_id: Identifier
    transaction_type: Side
    quantity: JsonNumber
    status: OrderState
    order_id: Annotated[int | None, Field(description="id at the order service, once SENT")]
    message: str | None
    order_timestamp: Annotated[
        InstantText | None, Field(description="orderTimestamp of the last attempt to send it")
    ]
    service_status: Annotated[
        str | None, Field(description="status at the order service, from the last look-up")
    ]


class OrderOfRebalance(OrderLine):
    """One order, with the rebalance that it comes from."""

    rebalance_id: ObjectIdentifier
    rebalance_date: InstantText


# Apart from that of the storage, because its name is the name of a component of the document.
class HandOverStatus(StrEnum):
    """Progress of a hand-over."""

    COMPLETE = SubmissionStatus.COMPLETE.value
    PARTIAL = SubmissionStatus.PARTIAL.value
    NOT_SENT = SubmissionStatus.NOT_SENT.value


class HandOverAnswer(TypedDict):
    """State of the orders of a rebalance.

    Before the first hand-over there are no orders yet, only ``number_of_transactions``. SENT orders
    are at the order service. FAILED orders were refused by it, PENDING orders were not sent; the
    next POST sends both. SENDING and UNKNOWN orders may have arrived; the next POST looks them up
    first. ``status`` is COMPLETE once all orders are SENT, and NOT_SENT while none is.
    """

    rebalance_id: ObjectIdentifier
    status: HandOverStatus
    number_of_transactions: int
    number_of_orders: int
    counts: Annotated[dict[str, int], DocumentedAs(dict[OrderState, int])]
    orders: list[OrderLine]


def order_json(order: Order) -> OrderOfRebalance:
    """Build one order of any rebalance."""
    return {
        **_line(order),
        "rebalance_id": order.rebalance_id,
        "rebalance_date": format_instant(order.rebalanced_at),
    }


def hand_over_json(hand_over: OrderSubmission) -> HandOverAnswer:
    """Build the counts and the page of lines."""
    counts = {state.value: count for state, count in hand_over.counts.items()}
    return {
        "rebalance_id": hand_over.rebalance_id,
        "status": HandOverStatus(hand_over.status),
        "number_of_transactions": hand_over.transactions,
        "number_of_orders": sum(counts.values()),
        "counts": counts,
        "orders": [_line(order) for order in hand_over.orders],
    }


def _line(order: Order) -> OrderLine:
    return {
        "portfolio_id": order.portfolio_id,
        "security_id": order.security_id,
        "transaction_type": order.side,
        "quantity": write_number(order.quantity),
        "status": order.state,
        "order_id": order.order_id,
        "message": order.message,
        "order_timestamp": format_instant(order.timestamp),
        "service_status": order.service_status,
    }
