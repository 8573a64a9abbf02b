"""Trade lists and orders of a rebalance."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from serve_app.client.call import (
    Call,
    get,
    work,
)
from serve_app.client.endpoints.media_types import MEDIA_TYPES, Format
from serve_app.client.responses.orders import OrderOfRebalance, OrderSubmission, TransactionLine
from serve_app.client.streaming import Lines, Pieces


def list_transactions(
    rebalance_id: str, portfolio_ids: Sequence[str] = ()
) -> Lines[TransactionLine]:
    """The trade list of a rebalance, or of some portfolios of it, row by row."""
    return Lines(_transactions(rebalance_id, "jsonl", portfolio_ids), TransactionLine)


def export_transactions(
    rebalance_id: str, kind: Format = "csv", portfolio_ids: Sequence[str] = ()
) -> Pieces:
    """The trade list as a file, piece by piece."""
    return Pieces(_transactions(rebalance_id, kind, portfolio_ids))


def hand_over(
    rebalance_id: str,
    *,
    open_orders: Literal["REFUSE", "ADD", "REPLACE"] | None = None,
    idempotency_key: str | None = None,
) -> Call[OrderSubmission]:
    """Send the orders that are not at the order service yet, never one twice.

    Open orders that other rebalances have left refuse it unless ``open_orders`` says otherwise.
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
    """Orders of all rebalances in these states and since then, the latest first."""
    asked = {"status": list(status), "since": since and since.isoformat()}
    return get(tuple[OrderOfRebalance, ...], "orders", **asked, limit=limit)


def _transactions(rebalance_id: str, kind: Format, portfolio_ids: Sequence[str]) -> Call[None]:
    chosen = tuple(portfolio_ids)
    found = get(None, "rebalance", rebalance_id, "transactions", portfolio_id=chosen)
    return found.with_headers({"Accept": MEDIA_TYPES[kind]})
