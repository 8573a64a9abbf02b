"""Trade lists and orders of a rebalance."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from serve_app.client.call import Call, get, work
from serve_app.client.endpoints.media_types import MEDIA_TYPES, Format
from serve_app.client.responses.orders import OrderOfRebalance, OrderSubmission, TransactionLine
from serve_app.client.streaming import Lines, Pieces


def list_transactions(
    rebalance_id: str, portfolio_ids: Sequence[str] = ()
) -> Lines[TransactionLine]:
    """Read the trade list of a rebalance, or of some of its portfolios, row by row."""
    return Lines(_request_transactions(rebalance_id, "jsonl", portfolio_ids), TransactionLine)


def export_transactions(
    rebalance_id: str, kind: Format = "csv", portfolio_ids: Sequence[str] = ()
) -> Pieces:
    """Export the trade list as a file, piece by piece."""
    return Pieces(_request_transactions(rebalance_id, kind, portfolio_ids))


def hand_over(
    rebalance_id: str,
    *,
    open_orders: Literal["REFUSE", "ADD", "REPLACE"] | None = None,
    idempotency_key: str | None = None,
) -> Call[OrderSubmission]:
    """Send the orders that are not at the order service yet, and no order twice.

    The service refuses if portfolios have open orders of other rebalances, unless ``open_orders``
    allows them.
    """
    body = None if open_orders is None else {"open_orders": open_orders}
    return work(OrderSubmission, ("rebalance", rebalance_id, "orders"), body, idempotency_key)


def list_orders(
    rebalance_id: str, *, status: Sequence[str] = (), offset: int = 0, limit: int = 1000
) -> Call[OrderSubmission]:
    """Read a page of the orders of a rebalance, with their states."""
    steps = ("rebalance", rebalance_id, "orders")
    return get(OrderSubmission, *steps, status=status, offset=offset, limit=limit)


def list_orders_of_all(
    *, status: Sequence[str] = (), since: datetime | None = None, limit: int = 100
) -> Call[tuple[OrderOfRebalance, ...]]:
    """List the orders of all rebalances in these states and since then, the latest first."""
    query = {"status": list(status), "since": since and since.isoformat()}
    return get(tuple[OrderOfRebalance, ...], "orders", **query, limit=limit)


def _request_transactions(
    rebalance_id: str, kind: Format, portfolio_ids: Sequence[str]
) -> Call[None]:
    steps = ("rebalance", rebalance_id, "transactions")
    call = get(None, *steps, portfolio_id=tuple(portfolio_ids))
    return call.with_headers({"Accept": MEDIA_TYPES[kind]})
