"""The hand-over of a rebalance's orders: how many are in which state, and one line for each."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from optimization.result import Side
from serve_app.wire.fields import PORTFOLIO, SECURITY, Identifier, ObjectIdentifier
from serve_app.wire.rebalancing import REBALANCE, Number
from serve_app.wire.text import Json, instant, number
from storage.hand_overs import HandOver
from storage.orders import Order, OrderState

LINE: Json = {
    "portfolio_id": PORTFOLIO,
    "security_id": SECURITY,
    "transaction_type": "BUY",
    "quantity": 12,
    "status": "SENT",
    "order_id": 4711,
    "message": None,
    "order_timestamp": "2026-11-23T09:30:00.001Z",
}


class OrderLine(BaseModel):
    """One order; ``message`` is what the order service, or the way to it, said last."""

    portfolio_id: Identifier
    security_id: Identifier
    transaction_type: Side
    quantity: Annotated[Number, Field(gt=0)]
    status: OrderState
    order_id: Annotated[int | None, Field(description="its id at the order service, once SENT")]
    message: str | None
    order_timestamp: Annotated[
        datetime | None, Field(description="the orderTimestamp it went out with last")
    ]


class HandOverAnswer(BaseModel):
    """Where the orders of a rebalance stand.

    SENT ones are at the order service. FAILED ones it refused, PENDING ones were not sent: the next
    POST sends them. Of SENDING and UNKNOWN ones it is not known whether they arrived: the next POST
    looks them up first. ``status`` is COMPLETE when all are SENT.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rebalance_id": REBALANCE,
                    "status": "COMPLETE",
                    "number_of_orders": 1,
                    "counts": {"PENDING": 0, "SENDING": 0, "SENT": 1, "FAILED": 0, "UNKNOWN": 0},
                    "orders": [LINE],
                }
            ]
        }
    )

    rebalance_id: ObjectIdentifier
    status: Literal["COMPLETE", "PARTIAL"]
    number_of_orders: int
    counts: dict[OrderState, int]
    orders: list[OrderLine]


def hand_over_json(hand_over: HandOver) -> Json:
    """The counts and the page of lines."""
    counts = {state.value: count for state, count in hand_over.counts.items()}
    return {
        "rebalance_id": hand_over.rebalance_id,
        "status": "COMPLETE" if hand_over.is_complete else "PARTIAL",
        "number_of_orders": sum(counts.values()),
        "counts": counts,
        "orders": [_line(order) for order in hand_over.orders],
    }


def _line(order: Order) -> Json:
    return {
        "portfolio_id": order.portfolio_id,
        "security_id": order.security_id,
        "transaction_type": order.side,
        "quantity": number(order.quantity),
        "status": order.state,
        "order_id": order.order_id,
        "message": order.message,
        "order_timestamp": instant(order.timestamp),
    }
